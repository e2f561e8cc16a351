#include "runtime.h"

#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)

#    include "ipc_keys.h"

#    include <QtCore/qcryptographichash.h>
#    include <QtCore/qdir.h>
#    include <QtCore/qstandardpaths.h>

namespace qshm {
namespace dropin {

namespace {

// How QNativeIpcKey::toString() says that there is a key of setKey().
constexpr char LegacyMark[] = "?legacyKey=";

QString encoded(const QString &text, const char *plain = "")
{
    return QString::fromLatin1(text.toUtf8().toPercentEncoding(plain));
}

} // namespace

QNativeIpcKey platformSafeKey(const QString &key, QNativeIpcKey::Type type)
{
    if (key.isEmpty() || !isSupported(type))
        return QNativeIpcKey(QString(), type);
    if (type == QNativeIpcKey::Type::PosixRealtime)
        return QNativeIpcKey(QLatin1Char('/') + key, type);
    // A path is one already.
    if (key.startsWith(QLatin1Char('/')))
        return QNativeIpcKey(key, type);
    const QString directory = QStandardPaths::writableLocation(QStandardPaths::RuntimeLocation);
    return QNativeIpcKey(directory + QLatin1Char('/') + key, type);
}

QNativeIpcKey legacyNativeKey(const QString &key, const char *prefix, QNativeIpcKey::Type type)
{
    if (key.isEmpty() || !isSupported(type))
        return QNativeIpcKey(QString(), type);
    QString name = QLatin1String(prefix);
    for (const QChar c : key) {
        if ((c >= QLatin1Char('a') && c <= QLatin1Char('z'))
            || (c >= QLatin1Char('A') && c <= QLatin1Char('Z')))
            name += c;
    }
    name += QString::fromLatin1(
            QCryptographicHash::hash(key.toUtf8(), QCryptographicHash::Sha1).toHex());
    const bool posix = type == QNativeIpcKey::Type::PosixRealtime;
    const QString directory = posix ? QString() : QDir::tempPath();
    return withLegacyKey(type, directory + QLatin1Char('/') + name, key);
}

QNativeIpcKey withLegacyKey(QNativeIpcKey::Type type, const QString &name, const QString &key)
{
    const QNativeIpcKey plain(name, type);
    // "TYPE:NAME", and only Qt knows how the type is written. No type, no text.
    const QString text = QNativeIpcKey(type).toString();
    if (text.isEmpty())
        return plain;
    const QNativeIpcKey legacy = QNativeIpcKey::fromString(
            text + encoded(name, "/") + QLatin1String(LegacyMark) + encoded(key));
    return legacy.nativeKey() == name && legacy.type() == type ? legacy : plain;
}

QString legacyKeyOf(const QNativeIpcKey &key)
{
    const QString text = key.toString();
    // A question mark of the name itself is written in another way.
    const auto mark = text.indexOf(QLatin1String(LegacyMark));
    if (mark < 0)
        return QString();
    const QString rest = text.mid(mark + qsizetype(sizeof LegacyMark) - 1);
    return QString::fromUtf8(QByteArray::fromPercentEncoding(rest.toUtf8()));
}

} // namespace dropin
} // namespace qshm

#endif

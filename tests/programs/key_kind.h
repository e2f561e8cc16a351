// Keys of Qt 6.6 and later by a text: "posix:KEY" and "systemv:KEY" are what platformSafeKey()
// makes of KEY, "text:TEXT" is for QNativeIpcKey::fromString(), everything else for setKey().

#ifndef QSHM_TESTS_KEY_KIND_H
#define QSHM_TESTS_KEY_KIND_H

#include <QSharedMemory>
#include <QString>
#include <QSystemSemaphore>

#include <memory>

namespace key_kind {

#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)

template <typename Class>
QNativeIpcKey keyOf(const QString &text)
{
    if (text.startsWith(QLatin1String("text:")))
        return QNativeIpcKey::fromString(text.mid(5));
    if (text.startsWith(QLatin1String("posix:")))
        return Class::platformSafeKey(text.mid(6), QNativeIpcKey::Type::PosixRealtime);
    if (text.startsWith(QLatin1String("systemv:")))
        return Class::platformSafeKey(text.mid(8), QNativeIpcKey::Type::SystemV);
    return Class::legacyNativeKey(text);
}

#else

template <typename Class>
QString keyOf(const QString &text)
{
    return text;
}

#endif

inline void setKey(QSharedMemory &memory, const QString &text)
{
#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
    if (text.startsWith(QLatin1String("posix:")) || text.startsWith(QLatin1String("systemv:"))
        || text.startsWith(QLatin1String("text:"))) {
        memory.setNativeKey(keyOf<QSharedMemory>(text));
        return;
    }
#endif
    memory.setKey(text);
}

inline std::unique_ptr<QSystemSemaphore> semaphore(const QString &text, int value,
                                                   QSystemSemaphore::AccessMode mode)
{
    return std::make_unique<QSystemSemaphore>(keyOf<QSystemSemaphore>(text), value, mode);
}

// The key of a test program, of the kind that its environment asks for.
inline QString ofEnvironment(const char *name)
{
    return QString::fromLatin1(qgetenv("QSHM_TEST_KIND")) + QLatin1String(name);
}

} // namespace key_kind

#endif

// What both classes need of the loaded Qt.
#ifndef QSHM_DROPIN_RUNTIME_H
#define QSHM_DROPIN_RUNTIME_H

// Before any of Qt's headers: the objects are to run with older versions of Qt than that of the
// headers, so they must not ask for the newest. Nothing newer than 5.5 is used.
#ifndef QT_NO_VERSION_TAGGING
#    define QT_NO_VERSION_TAGGING
#endif

#include <qshm/error.h>

#include <QtCore/qbytearray.h>
#include <QtCore/qglobal.h>
#include <QtCore/qstring.h>

#include <string_view>

namespace qshm {
namespace dropin {

/// Tells qshm which Qt is loaded, and Qt's log what qshm has to say. To be called before
/// anything else; from the second time on it costs nothing. QCoreApplication need not exist.
void prepare();

/// QDir::tempPath() of the loaded Qt, as the name of a file: TMPDIR may change at any time, and
/// versions of Qt differ in what they make of it.
QByteArray tempPath();

/// An error in Qt's words: its pattern, translated, and the inner one where it has one.
QString filledIn(const Error &error, const QString &translated, const QString &inner = QString());

inline std::string_view viewOf(const QByteArray &bytes)
{
    return { bytes.constData(), std::size_t(bytes.size()) };
}

/// For tr(), which wants a NUL at the end.
inline QByteArray patternOf(std::string_view pattern)
{
    return { pattern.data(), int(pattern.size()) };
}

/// In a static library each class is an object file of its own, and one may be taken without the
/// other. These make it both or none.
extern const char *const sharedMemoryPart;
extern const char sharedMemoryKeyPart;
extern const char systemSemaphorePart;

} // namespace dropin
} // namespace qshm

#endif

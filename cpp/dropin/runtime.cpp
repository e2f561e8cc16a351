#include "runtime.h"

#include "../qt/codes.h"

#include <qshm/log.h>
#include <qshm/options.h>

#include <QtCore/qcoreapplication.h>
#include <QtCore/qdir.h>
#include <QtCore/qfile.h>
#include <QtCore/qloggingcategory.h>

#include <cstring>

namespace qshm {
namespace dropin {

namespace {

// Never destroyed: destructors of static objects have something to say, too.
const QLoggingCategory &category()
{
    static const QLoggingCategory &category = *new QLoggingCategory("qshm", QtWarningMsg);
    return category;
}

constexpr QtMsgType typeOf(LogLevel level)
{
    return QtMsgType(qt::messageTypeOf(level));
}

static_assert(typeOf(LogLevel::Error) == QtCriticalMsg && typeOf(LogLevel::Warning) == QtWarningMsg
              && typeOf(LogLevel::Info) == QtInfoMsg && typeOf(LogLevel::Debug) == QtDebugMsg);

bool isOfInterest(LogLevel level, std::string_view target)
{
    return qt::isQts(target) || (target == "qshm" && category().isEnabled(typeOf(level)));
}

void log(LogLevel level, std::string_view target, std::string_view message)
{
    const QByteArray text(message.data(), int(message.size()));
    const QMessageLogger logger;
    if (qt::isQts(target)) {
        logger.warning("%s", text.constData());
        return;
    }
    switch (typeOf(level)) {
    case QtCriticalMsg: logger.critical(category(), "%s", text.constData()); break;
    case QtWarningMsg: logger.warning(category(), "%s", text.constData()); break;
    case QtInfoMsg: logger.info(category(), "%s", text.constData()); break;
    default: logger.debug(category(), "%s", text.constData()); break;
    }
}

bool prepareOnce()
{
    setQtVersion(qVersion());
    setLogHandler(log, isOfInterest);
    return true;
}

[[gnu::used]] const void *const parts[] = { &sharedMemoryPart, &systemSemaphorePart };

} // namespace

void prepare()
{
    static const bool prepared = prepareOnce();
    Q_UNUSED(prepared);
}

QByteArray tempPath()
{
    return QFile::encodeName(QDir::tempPath());
}

QString filledIn(const Error &error, const QString &translated, const QString &inner)
{
    const QByteArray pattern = translated.toUtf8();
    const QByteArray innerPattern = inner.toUtf8();
    const std::string text = error.text(viewOf(pattern), viewOf(innerPattern));
    return QString::fromUtf8(text.data(), int(text.size()));
}

} // namespace dropin
} // namespace qshm

#include "runtime.h"

#include <qshm/log.h>
#include <qshm/options.h>

#include <QtCore/qdir.h>
#include <QtCore/qfile.h>
#include <QtCore/qloggingcategory.h>

namespace qshm {
namespace dropin {

namespace {

// Never destroyed: destructors of static objects have something to say, too.
const QLoggingCategory &category()
{
    static const QLoggingCategory &category = *new QLoggingCategory("qshm", QtWarningMsg);
    return category;
}

QtMsgType typeOf(LogLevel level)
{
    switch (level) {
    case LogLevel::Error: return QtCriticalMsg;
    case LogLevel::Warning: return QtWarningMsg;
    case LogLevel::Info: return QtInfoMsg;
    case LogLevel::Debug:
    case LogLevel::Trace: break;
    }
    return QtDebugMsg;
}

// What Qt's own classes would print, in the default category as they do.
bool isQts(std::string_view target)
{
    return target == "qt";
}

bool isOfInterest(LogLevel level, std::string_view target)
{
    return isQts(target) || (target == "qshm" && category().isEnabled(typeOf(level)));
}

void log(LogLevel level, std::string_view target, std::string_view message)
{
    const QByteArray text(message.data(), int(message.size()));
    const QMessageLogger logger;
    if (isQts(target)) {
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

[[gnu::used]] const char *const parts[] = { &sharedMemoryPart, &systemSemaphorePart };

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

QString filledIn(const QString &translated, const Error &error)
{
    QString text = translated.arg(
            QString::fromLatin1(error.function.data(), int(error.function.size())));
    if (error.pattern.find("%2") != std::string_view::npos)
        text = text.arg(error.systemError);
    if (!error.detail.empty()) {
        text += QLatin1String(" (");
        text += QString::fromUtf8(error.detail.data(), int(error.detail.size()));
        text += QLatin1Char(')');
    }
    return text;
}

} // namespace dropin
} // namespace qshm

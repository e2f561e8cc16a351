#include "runtime.h"

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

namespace {

QString filledIn(QString text, std::string_view pattern, std::string_view function, int systemError)
{
    text = text.arg(QString::fromLatin1(function.data(), int(function.size())));
    // Qt 6.6 and later say it in words.
    if (pattern.find("error: %2") != std::string_view::npos)
        return text.arg(QString::fromLocal8Bit(std::strerror(systemError)));
    if (pattern.find("%2") != std::string_view::npos)
        return text.arg(systemError);
    return text;
}

QString withDetail(QString text, const Error &error)
{
    if (!error.detail.empty()) {
        text += QLatin1String(" (");
        text += QString::fromUtf8(error.detail.data(), int(error.detail.size()));
        text += QLatin1Char(')');
    }
    return text;
}

} // namespace

QString filledIn(const QString &translated, const Error &error)
{
    return withDetail(filledIn(translated, error.pattern, error.function, error.systemError),
                      error);
}

QString filledIn(const QString &translated, const QString &inner, const Error &error)
{
    const QString function = QString::fromLatin1(error.function.data(), int(error.function.size()));
    return withDetail(translated.arg(function, inner), error);
}

QString semaphoreText(const Error &error)
{
    const QByteArray pattern = patternOf(error.innerPattern);
    return filledIn(QCoreApplication::translate("QSystemSemaphore", pattern.constData()),
                    error.innerPattern, error.innerFunction, error.systemError);
}

} // namespace dropin
} // namespace qshm

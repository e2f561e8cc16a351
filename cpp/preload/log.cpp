#include "log.h"

#include "loaded_qt.h"

#include <qshm/log.h>

#include <atomic>
#include <cstddef>
#include <string>

namespace qshm {
namespace preload {

namespace {

// The Qt that was there first; another one does not change that.
std::atomic<const LoadedQt *> current { nullptr };

// QMessageLogger, which is nothing but the QMessageLogContext that its inline constructor makes.
struct Logger
{
    int version = 2;
    int line = 0;
    const char *file = nullptr;
    const char *function = nullptr;
    const char *category = nullptr;
};

// A QLoggingCategory, three words and some bytes. Never destroyed: destructors of static objects
// have something to say, too.
struct Category
{
    explicit Category(const LogFunctions &log) { log.makeCategory(memory, "qshm", 1); }
    alignas(std::max_align_t) unsigned char memory[128] {};
};

const void *categoryOf(const LogFunctions &log)
{
    static const Category &category = *new Category(log);
    return category.memory;
}

bool isOfInterest(LogLevel level, std::string_view target)
{
    const LoadedQt *const qt = current.load(std::memory_order_acquire);
    if (!qt)
        return false;
    const LogFunctions &log = qt->log();
    return qt::isQts(target)
            || (target == "qshm" && log.isEnabled(categoryOf(log), qt::messageTypeOf(level)));
}

LogFunctions::Say *sayOf(const LogFunctions &log, LogLevel level)
{
    switch (level) {
    case LogLevel::Error: return log.critical;
    case LogLevel::Warning: return log.warning;
    case LogLevel::Info: return log.info;
    case LogLevel::Debug:
    case LogLevel::Trace: break;
    }
    return log.debug;
}

void write(LogLevel level, std::string_view target, std::string_view message)
{
    const LoadedQt *const qt = current.load(std::memory_order_acquire);
    if (!qt)
        return;
    const LogFunctions &log = qt->log();
    const std::string text(message);
    const Logger logger;
    if (qt::isQts(target))
        log.warnByDefault(&logger, "%s", text.c_str());
    else
        sayOf(log, level)(&logger, categoryOf(log), "%s", text.c_str());
}

} // namespace

bool LogFunctions::resolve(const Symbols &symbols)
{
    return symbols.find(makeCategory, "_ZN16QLoggingCategoryC1EPKc9QtMsgType")
            && symbols.find(isEnabled, "_ZNK16QLoggingCategory9isEnabledE9QtMsgType")
            && symbols.find(warnByDefault, "_ZNK14QMessageLogger7warningEPKcz")
            && symbols.find(debug, "_ZNK14QMessageLogger5debugERK16QLoggingCategoryPKcz")
            && symbols.find(info, "_ZNK14QMessageLogger4infoERK16QLoggingCategoryPKcz")
            && symbols.find(warning, "_ZNK14QMessageLogger7warningERK16QLoggingCategoryPKcz")
            && symbols.find(critical, "_ZNK14QMessageLogger8criticalERK16QLoggingCategoryPKcz");
}

bool startLog(const LoadedQt &qt)
{
    const LoadedQt *none = nullptr;
    if (!current.compare_exchange_strong(none, &qt))
        return false;
    setLogHandler(write, isOfInterest);
    return true;
}

} // namespace preload
} // namespace qshm

#include "log_sink.h"

#include <qshm/src/bridge.rs.h>

#include <atomic>

namespace qshm {

namespace {

std::atomic<LogHandler> currentHandler { nullptr };
std::atomic<LogFilter> currentFilter { nullptr };

std::string_view viewOf(rust::Str text)
{
    return { text.data(), text.size() };
}

} // namespace

void setLogHandler(LogHandler handler, LogFilter filter) noexcept
{
    currentFilter.store(filter);
    currentHandler.store(handler);
    if (handler)
        bridge::install_log();
}

namespace bridge {

bool log_wanted(LogLevel level, rust::Str target) noexcept
{
    if (!currentHandler.load())
        return false;
    const LogFilter filter = currentFilter.load();
    return filter ? filter(level, viewOf(target)) : level <= LogLevel::Warning;
}

void log_record(LogLevel level, rust::Str target, rust::Str message) noexcept
{
    if (const LogHandler handler = currentHandler.load())
        handler(level, viewOf(target), viewOf(message));
}

} // namespace bridge

} // namespace qshm

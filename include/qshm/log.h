// What qshm tells besides its answers: that a leftover was cleared, that it stepped aside.
#ifndef QSHM_LOG_H
#define QSHM_LOG_H

#include <cstdint>
#include <string_view>

namespace qshm {

/// How important a message is.
enum class LogLevel : std::int32_t {
    Error = 1,
    Warning = 2,
    Info = 3,
    Debug = 4,
    Trace = 5,
};

/// Takes a message, in UTF-8. `target` is `"qshm"`, or `"qt"` for the warnings that Qt's own
/// classes print, in Qt's words. Called from any thread that uses qshm. Must not throw.
using LogHandler = void (*)(LogLevel level, std::string_view target, std::string_view message);

/// Says beforehand whether a message would be of interest, so that it need not be made.
using LogFilter = bool (*)(LogLevel level, std::string_view target);

/// Sends the messages to `handler`, or nowhere if it is null, which is how a process starts.
/// Without a filter, warnings and errors are sent. `qshm::dropin` uses this for the logging
/// category `qshm`.
///
/// ```cpp
/// qshm::setLogHandler([](qshm::LogLevel, std::string_view, std::string_view message) {
///     std::fprintf(stderr, "%.*s\n", int(message.size()), message.data());
/// });
/// ```
void setLogHandler(LogHandler handler, LogFilter filter = nullptr) noexcept;

} // namespace qshm

#endif

// Qt's log, where qshm's messages go.
#ifndef QSHM_PRELOAD_LOG_H
#define QSHM_PRELOAD_LOG_H

#include "symbols.h"

namespace qshm {
namespace preload {

class LoadedQt;

/// What is needed of QLoggingCategory and QMessageLogger.
struct LogFunctions
{
    using Say = void(const void *logger, const void *category, const char *format, ...);

    void (*makeCategory)(void *, const char *, int);
    bool (*isEnabled)(const void *, int);
    void (*warnByDefault)(const void *logger, const char *format, ...);
    Say *debug;
    Say *info;
    Say *warning;
    Say *critical;

    /// False if one is missing.
    bool resolve(const Symbols &symbols);
};

/// From now on messages go to the log of this Qt; false if they go to another's already.
bool startLog(const LoadedQt &qt);

} // namespace preload
} // namespace qshm

#endif

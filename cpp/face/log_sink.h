// Where the bridge sends log records to.
#ifndef QSHM_FACE_LOG_SINK_H
#define QSHM_FACE_LOG_SINK_H

#include <qshm/log.h>

#include <rust/cxx.h>

namespace qshm::bridge {

bool log_wanted(LogLevel level, rust::Str target) noexcept;
void log_record(LogLevel level, rust::Str target, rust::Str message) noexcept;

} // namespace qshm::bridge

#endif

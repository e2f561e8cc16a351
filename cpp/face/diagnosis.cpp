#include <qshm/shared_memory.h>
#include <qshm/system_semaphore.h>

#include "convert.h"

namespace qshm {

namespace {

// The bridge has a vector of at most one where we have an optional.
template <typename To, typename From, typename Convert>
std::optional<To> optionalOf(const rust::Vec<From> &values, Convert convert)
{
    if (values.empty())
        return std::nullopt;
    return convert(*values.begin());
}

template <typename Value>
std::optional<Value> optionalOf(const rust::Vec<Value> &values)
{
    return optionalOf<Value>(values, [](Value value) { return value; });
}

template <typename To, typename From, typename Convert>
std::vector<To> allOf(const rust::Vec<From> &values, Convert convert)
{
    std::vector<To> all;
    for (const From &value : values)
        all.push_back(convert(value));
    return all;
}

Permissions permissionsOf(const bridge::PermissionsReport &report)
{
    return { report.uid, report.gid, report.creator_uid, report.creator_gid, report.mode };
}

Process processOf(const bridge::ProcessReport &report)
{
    return { report.pid, report.uid, std::string(report.program), report.stopped };
}

IpcObject objectOf(const bridge::IpcObjectReport &report)
{
    return { optionalOf(report.key), optionalOf(report.id), std::string(report.file),
             optionalOf<Permissions>(report.permissions, permissionsOf), optionalOf(report.since) };
}

SegmentReport segmentOf(const bridge::SegmentReport &report)
{
    return { objectOf(report.object),     optionalOf(report.size),
             optionalOf(report.attached), optionalOf(report.creator_pid),
             optionalOf(report.last_pid), report.removed };
}

SemaphoreReport semaphoreOf(const bridge::SemaphoreReport &report)
{
    return { objectOf(report.object),
             optionalOf(report.value),
             optionalOf(report.last_pid),
             optionalOf(report.waiting),
             optionalOf<Process>(report.holder, processOf),
             report.holder_died };
}

KeyFile fileOf(const bridge::KeyFileReport &report)
{
    return { std::string(report.path), report.uid, report.gid, report.mode,
             std::string(report.trouble) };
}

PlaceReport placeOf(const bridge::PlaceReport &report)
{
    return { report.state,
             optionalOf<SegmentReport>(report.segment, segmentOf),
             optionalOf<SemaphoreReport>(report.semaphore, semaphoreOf),
             allOf<KeyFile>(report.files, fileOf),
             allOf<Process>(report.processes, processOf),
             report.hidden_processes,
             allOf<Process>(report.entering, processOf) };
}

Diagnosis diagnosisOf(const bridge::DiagnosisReport &report)
{
    return { placeOf(report.machine_wide), placeOf(report.aside),    report.verdict,
             std::string(report.command),  std::string(report.text), report.time };
}

} // namespace

Diagnosis SharedMemory::diagnosis() const
{
    return diagnosisOf(m_memory->diagnosis());
}

Diagnosis SystemSemaphore::diagnosis() const
{
    return diagnosisOf(m_semaphore->diagnosis());
}

} // namespace qshm

#include <qshm/shared_memory.h>

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

std::int32_t same(std::int32_t value)
{
    return value;
}

Permissions permissionsOf(const bridge::PermissionsReport &report)
{
    return { report.uid, report.gid, report.creator_uid, report.creator_gid, report.mode };
}

IpcObject objectOf(const bridge::IpcObjectReport &report)
{
    return { report.key, report.id, std::string(report.key_file),
             optionalOf<Permissions>(report.permissions, permissionsOf) };
}

SegmentState stateOf(const bridge::SegmentStateReport &report)
{
    return { report.size, report.attached, report.creator_pid, report.last_pid };
}

SegmentReport segmentOf(const bridge::SegmentReport &report)
{
    SegmentReport segment { objectOf(report.object),
                            optionalOf<SegmentState>(report.state, stateOf),
                            {} };
    for (const bridge::ProcessReport &process : report.processes)
        segment.processes.push_back({ process.pid, process.uid, std::string(process.program) });
    return segment;
}

SemaphoreReport semaphoreOf(const bridge::SemaphoreReport &report)
{
    return { objectOf(report.object), optionalOf<std::int32_t>(report.value, same),
             optionalOf<std::int32_t>(report.last_pid, same) };
}

PlaceReport placeOf(const bridge::PlaceReport &report)
{
    PlaceReport place { optionalOf<SegmentReport>(report.segment, segmentOf),
                        optionalOf<SemaphoreReport>(report.semaphore, semaphoreOf),
                        {} };
    for (const rust::String &file : report.files)
        place.files.emplace_back(file);
    return place;
}

} // namespace

Diagnosis SharedMemory::diagnosis() const
{
    const bridge::DiagnosisReport report = m_memory->diagnosis();
    return { placeOf(report.machine_wide), placeOf(report.aside), report.verdict,
             std::string(report.command) };
}

} // namespace qshm

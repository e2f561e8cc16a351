// What there is to a key: which objects, whose, who uses them, and what clears them.
#ifndef QSHM_DIAGNOSIS_H
#define QSHM_DIAGNOSIS_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qshm {

/// A process that is attached to a segment, as far as the kernel lets us see.
struct Process
{
    /// Its pid.
    std::int32_t pid = 0;
    /// Its user.
    std::uint32_t uid = 0;
    /// Its executable, or its name where that may not be seen.
    std::string program;
};

/// Owner, creator and mode of a System V object, as `struct ipc_perm` has them.
struct Permissions
{
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t creatorUid = 0;
    std::uint32_t creatorGid = 0;
    /// Permission bits, such as 0600.
    std::uint32_t mode = 0;
};

/// A segment or a semaphore, as ipcs(1) lists them.
struct IpcObject
{
    /// Its `key_t`.
    std::int32_t key = 0;
    /// Its shmid or semid.
    std::int32_t id = 0;
    /// The path of its key file.
    std::string keyFile;
    /// Whose it is; no value where that may not be seen.
    std::optional<Permissions> permissions;
};

/// The state of a segment.
struct SegmentState
{
    /// The size asked for at creation, in bytes.
    std::size_t size = 0;
    /// How often living processes have attached it.
    std::uint64_t attached = 0;
    /// Who made it.
    std::int32_t creatorPid = 0;
    /// Who attached or detached last.
    std::int32_t lastPid = 0;
};

/// A segment, and who uses it.
struct SegmentReport
{
    IpcObject object;
    /// No value where it may not be seen.
    std::optional<SegmentState> state;
    /// Those attached processes that may be seen.
    std::vector<Process> processes;
};

/// A semaphore, and its value.
struct SemaphoreReport
{
    IpcObject object;
    /// 1 is free; no value where it may not be read.
    std::optional<std::int32_t> value;
    /// Who changed the value last: while it is 0, that is who holds the lock.
    std::optional<std::int32_t> lastPid;
};

/// What is in one directory, and what its key files lead to.
struct PlaceReport
{
    std::optional<SegmentReport> segment;
    std::optional<SemaphoreReport> semaphore;
    /// The paths of the key files that are there.
    std::vector<std::string> files;
};

/// What it comes to. A number is never reused; later versions may add some.
enum class Verdict : std::int32_t {
    /// Nothing is there: `create()` makes it, `attach()` does not find it.
    Free = 0,
    /// In use, and we may join.
    Live = 1,
    /// What a crash left, and we clear it ourselves.
    Leftover = 2,
    /// Somebody else's: we step aside, or fail, by policy.
    InTheWay = 3,
    /// Somebody else's, and we have stepped aside: a segment of our own is in use.
    Aside = 4,
};

/// What there is to a key: a snapshot, see `SharedMemory::diagnosis()`.
///
/// ```cpp
/// const qshm::Diagnosis diagnosis = memory.diagnosis();
/// if (diagnosis.verdict == qshm::Verdict::InTheWay)
///     std::fprintf(stderr, "to clear it: %s\n", diagnosis.command.c_str());
/// ```
struct Diagnosis
{
    /// Where Qt has the objects of the key.
    PlaceReport machineWide;
    /// Where our identity has its own, if the first is in the way.
    PlaceReport aside;
    /// What it comes to.
    Verdict verdict = Verdict::Free;
    /// The command that clears what is in the way; empty if nothing is.
    std::string command;
};

} // namespace qshm

#endif

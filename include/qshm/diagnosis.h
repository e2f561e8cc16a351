// What there is to a key: which objects, whose, who uses them, and what clears them.
#ifndef QSHM_DIAGNOSIS_H
#define QSHM_DIAGNOSIS_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qshm {

/// A process that has an object, as far as the kernel lets us see.
struct Process
{
    /// Its pid.
    std::int32_t pid = 0;
    /// Its user.
    std::uint32_t uid = 0;
    /// Its executable, or its name where that may not be seen.
    std::string program;
    /// Whether it is stopped, not dead, so that it gives no lock back until it goes on.
    bool stopped = false;
};

/// Owner, creator and mode of an object, as `struct ipc_perm` has them. The file of a POSIX object
/// has no creator but its owner.
struct Permissions
{
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t creatorUid = 0;
    std::uint32_t creatorGid = 0;
    /// Permission bits, such as 0600.
    std::uint32_t mode = 0;
};

/// A segment or a semaphore: of System V, as ipcs(1) lists them, or of POSIX, a file in `/dev/shm`.
struct IpcObject
{
    /// Its `key_t`; no value: a POSIX one.
    std::optional<std::int32_t> key;
    /// Its shmid or semid; no value: a POSIX one.
    std::optional<std::int32_t> id;
    /// The file that a POSIX one is; empty: of System V.
    std::string file;
    /// Whose it is; no value where that may not be seen.
    std::optional<Permissions> permissions;
    /// When it was made, or given to somebody, in seconds since 1970; no value where that may not
    /// be seen.
    std::optional<std::int64_t> since;
};

/// A segment.
struct SegmentReport
{
    IpcObject object;
    /// The size asked for at creation, in bytes; no value where it may not be seen.
    std::optional<std::uint64_t> size;
    /// How often living processes have attached it. Nobody counts that of POSIX ones: the
    /// processes that are known to have it. No value: whether any has can't be seen.
    std::optional<std::uint64_t> attached;
    /// Who made it; no value: not known, as of every POSIX one.
    std::optional<std::int32_t> creatorPid;
    /// Who attached or detached last; no value: not known.
    std::optional<std::int32_t> lastPid;
    /// Removed already, and kept by the kernel until its last process detaches.
    bool removed = false;
};

/// A semaphore, and its value.
struct SemaphoreReport
{
    IpcObject object;
    /// 1 is free; no value where it may not be read.
    std::optional<std::int32_t> value;
    /// Who changed the value last; no value: not known.
    std::optional<std::int32_t> lastPid;
    /// How many wait; no value: not known.
    std::optional<std::int32_t> waiting;
    /// The living process between `lock()` and `unlock()`, where that can be known.
    std::optional<Process> holder;
    /// Whether who had a POSIX lock died inside. The next one with qshm gets in.
    bool holderDied = false;
};

/// A key file, or what stands where one belongs.
struct KeyFile
{
    std::string path;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    /// Permission bits, such as 0640.
    std::uint32_t mode = 0;
    /// Why it can't be used, in words: "is a symbolic link". Empty: it can.
    std::string trouble;
};

/// What the objects in one place are. A number is never reused; later versions may add some.
enum class ObjectState : std::int32_t {
    /// There is nothing.
    Nothing = 0,
    /// A process is attached.
    Live = 1,
    /// Nobody is attached: what a crash left, or Qt, which never removes a POSIX segment.
    Leftover = 2,
    /// A semaphore, and no segment.
    SemaphoreAlone = 3,
    /// Key files that lead to nothing.
    FileAlone = 4,
    /// Perhaps nobody is attached; who could be is hidden from this user.
    Unclear = 5,
};

/// What is in one directory, and what its key files lead to.
struct PlaceReport
{
    ObjectState state = ObjectState::Nothing;
    /// No value of a `SystemSemaphore`.
    std::optional<SegmentReport> segment;
    std::optional<SemaphoreReport> semaphore;
    /// The key files that are there. POSIX objects have none.
    std::vector<KeyFile> files;
    /// Those processes with an object that may be seen.
    std::vector<Process> processes;
    /// How many more there are, at least.
    std::uint64_t hiddenProcesses = 0;
    /// Those in the middle of `create()`, `attach()` or `detach()` with qshm, which keep the others
    /// out: for microseconds, unless one is stopped.
    std::vector<Process> entering;
};

/// What it comes to. A number is never reused; later versions may add some.
enum class Verdict : std::int32_t {
    /// Nothing is there: `create()` makes it, `attach()` does not find it.
    Free = 0,
    /// There, and we may join. (Who has a System V semaphore that stands alone, nothing tells.)
    Live = 1,
    /// What a crash left, and we clear it ourselves.
    Leftover = 2,
    /// Somebody else's: we step aside, or fail, by policy.
    InTheWay = 3,
    /// Somebody else's, and we have stepped aside: an object of our own is in use.
    Aside = 4,
};

/// What there is to a key, of System V or POSIX: a snapshot, see `SharedMemory::diagnosis()` and
/// `SystemSemaphore::diagnosis()`.
///
/// ```cpp
/// const qshm::Diagnosis diagnosis = memory.diagnosis();
/// if (diagnosis.verdict == qshm::Verdict::InTheWay)
///     std::fprintf(stderr, "%s\n", diagnosis.text.c_str());
/// ```
struct Diagnosis
{
    /// Where Qt has the objects of the key.
    PlaceReport machineWide;
    /// Where our identity has its own, if the first is in the way.
    PlaceReport aside;
    /// What it comes to.
    Verdict verdict = Verdict::Free;
    /// The command that clears what is in the way; empty if nothing is, or if that is in use.
    std::string command;
    /// All of it as a sentence for people: what is there, whose, who has it, what to do.
    std::string text;
    /// When all of this was seen, in seconds since 1970.
    std::int64_t time = 0;
};

} // namespace qshm

#endif

// Qt's QSharedMemory without Qt.
#ifndef QSHM_SHARED_MEMORY_H
#define QSHM_SHARED_MEMORY_H

#include <qshm/diagnosis.h>
#include <qshm/error.h>
#include <qshm/options.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace qshm {

namespace bridge {
struct SharedMemory;
}

/// What `SharedMemory` may do with a segment.
enum class AccessMode : std::int32_t {
    /// The segment is mapped read-only: to write there is a segmentation fault.
    ReadOnly = 0,
    /// Reading and writing.
    ReadWrite = 1,
};

/// A segment of memory that processes share by a key, and a lock that goes with it.
///
/// Follows `QSharedMemory` call by call and shares segments with it, with these differences: a
/// segment exists exactly as long as a live process is attached, so that a crash leaves nothing
/// in the way, and nothing breaks a lock that is held. All members may be called from several
/// threads; the object itself does not synchronise the memory.
///
/// ```cpp
/// qshm::SharedMemory memory("org.example.counter");
/// if (!memory.create(sizeof(int)) && !memory.attach()) {
///     std::fprintf(stderr, "%s\n", memory.errorString().c_str());
///     return 1;
/// }
/// {
///     std::lock_guard<qshm::SharedMemory> guard(memory);
///     ++*static_cast<int *>(memory.data());
/// }
/// ```
///
/// Nothing throws. A moved-from object is as if newly made.
class SharedMemory
{
public:
    /// An object without a key.
    SharedMemory() noexcept;
    /// An object with this key, see `setKey()`.
    explicit SharedMemory(std::string_view key) noexcept;
    /// Detaches; the last one of all processes to do so removes the segment.
    ~SharedMemory();

    SharedMemory(SharedMemory &&other) noexcept;
    SharedMemory &operator=(SharedMemory &&other) noexcept;
    SharedMemory(const SharedMemory &) = delete;
    SharedMemory &operator=(const SharedMemory &) = delete;

    /// Policies for this object alone; those without a value follow the environment and the
    /// process. Counts from the next `create()` or `attach()` on.
    void setOptions(const Options &options) noexcept;

    /// Sets the key, in UTF-8, of any length and with any bytes. Detaches if attached. The key
    /// file is in the temp directory as Qt has it (`QDir::tempPath()`).
    void setKey(std::string_view key) noexcept;
    /// The same with a temp directory as Qt has it: absolute and canonical, or empty if there
    /// is none.
    void setKey(std::string_view key, std::string_view tempDirectory) noexcept;
    /// Takes the key away. Detaches if attached.
    void clearKey() noexcept;
    /// Sets the path of the key file itself, as `QSharedMemory::setNativeKey()` does; nothing is
    /// derived from it, and there is no lock. Detaches if attached.
    void setNativeKey(std::string_view path) noexcept;
    /// Sets a key as Qt 6.6 and later have it: the number of a `QNativeIpcKey::Type` (0x51: System
    /// V, 0x100: POSIX realtime) and the name, which is the path of a key file or that of a POSIX
    /// object. `legacy`: the name is what `QSharedMemory::legacyNativeKey()` makes of a key, so
    /// that the lock has another. Detaches if attached. From then on errors are those of Qt 6.6.
    void setNativeKey(std::uint16_t type, std::string_view name, bool legacy = false) noexcept;
    /// The path of the key file, which other programs can give to `setNativeKey()`. Empty if
    /// there is no key.
    std::string nativeKey() const;

    /// Makes a segment of `size` bytes, all zero, and attaches to it. False, with
    /// `ErrorCode::AlreadyExists`, where a live process is attached to one already.
    bool create(std::int64_t size, AccessMode mode = AccessMode::ReadWrite) noexcept;
    /// Attaches to the segment that others have made. False, with `ErrorCode::NotFound`, where
    /// there is none; false, with the error unchanged, if attached already.
    bool attach(AccessMode mode = AccessMode::ReadWrite) noexcept;
    /// Detaches. False, with the error unchanged, if not attached.
    bool detach() noexcept;
    /// Whether this object is attached.
    bool isAttached() const noexcept;

    /// The memory, null if not attached. Its contents were perhaps written by others: don't
    /// trust them.
    void *data() noexcept;
    /// The memory, null if not attached.
    const void *data() const noexcept;
    /// The memory, null if not attached.
    const void *constData() const noexcept;
    /// The size in bytes that the segment was made with, 0 if not attached.
    std::size_t size() const noexcept;

    /// Waits until no other process is between its own `lock()` and `unlock()`. The kernel
    /// unlocks when the holder dies. True at once if this object has the lock already. False,
    /// with `ErrorCode::LockError`, before the first `create()` or `attach()`.
    bool lock() noexcept;
    /// The same, but false when `timeout` is over, without an error.
    bool tryLock(std::chrono::milliseconds timeout = std::chrono::milliseconds::zero()) noexcept;
    /// Lets the next one in. False if this object does not have the lock.
    bool unlock() noexcept;

    /// Why the last call failed. As with Qt, a successful `create()` or `attach()` clears it,
    /// while `detach()` and `lock()` don't.
    Error error() const;
    /// The same as text, see `Error::text()`.
    std::string errorString() const;

    /// What is known of this key's objects now, of System V or POSIX: which there are, whose, since
    /// when, who uses them, and what is in the way.
    Diagnosis diagnosis() const;

private:
    bridge::SharedMemory *m_memory;
};

} // namespace qshm

#endif

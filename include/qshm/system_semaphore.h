// Qt's QSystemSemaphore without Qt.
#ifndef QSHM_SYSTEM_SEMAPHORE_H
#define QSHM_SYSTEM_SEMAPHORE_H

#include <qshm/diagnosis.h>
#include <qshm/error.h>
#include <qshm/options.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace qshm {

namespace bridge {
struct SystemSemaphore;
}

/// How `SystemSemaphore` treats a semaphore that exists.
enum class OpenMode : std::int32_t {
    /// It is used as it is; the initial value only counts if there was none.
    Open = 0,
    /// Its value becomes the initial value, as with Qt; except while others use it.
    Create = 1,
};

/// A counter that processes share by a key, and may wait for.
///
/// Follows `QSystemSemaphore` call by call and shares semaphores with it. What a process has
/// taken, the kernel gives back when it ends, however it ends. All members may be called from
/// several threads.
///
/// ```cpp
/// qshm::SystemSemaphore printers("org.example.printers", 3);
/// if (printers.acquire()) {
///     // … one of at most three …
///     printers.release();
/// }
/// ```
///
/// Nothing throws. A moved-from object is as if newly made, without a key.
class SystemSemaphore
{
public:
    /// An object without a key: every call fails until `setKey()`.
    SystemSemaphore() noexcept;
    /// An object with this key, see `setKey()`.
    explicit SystemSemaphore(std::string_view key, std::int32_t initialValue = 0,
                             OpenMode mode = OpenMode::Open) noexcept;
    /// Lets go of the semaphore; the last one of all processes to do so removes it.
    ~SystemSemaphore();

    SystemSemaphore(SystemSemaphore &&other) noexcept;
    SystemSemaphore &operator=(SystemSemaphore &&other) noexcept;
    SystemSemaphore(const SystemSemaphore &) = delete;
    SystemSemaphore &operator=(const SystemSemaphore &) = delete;

    /// Policies for this object alone; those without a value follow the environment and the
    /// process. Counts from the next `setKey()` on.
    void setOptions(const Options &options) noexcept;

    /// Finds or makes the semaphore of this key, in UTF-8. `error()` tells whether that went
    /// well.
    void setKey(std::string_view key, std::int32_t initialValue = 0,
                OpenMode mode = OpenMode::Open) noexcept;
    /// The same with a temp directory as Qt has it: absolute and canonical, or empty if there
    /// is none.
    void setKey(std::string_view key, std::string_view tempDirectory, std::int32_t initialValue,
                OpenMode mode) noexcept;
    /// `setKey()` of a null `QString`: lets go of the semaphore.
    void clearKey(OpenMode mode = OpenMode::Open) noexcept;

    /// Sets a key as Qt 6.6 and later have it: the number of a `QNativeIpcKey::Type` (0x51: System
    /// V, 0x100: POSIX realtime) and the name. From then on errors are those of Qt 6.6.
    void setNativeKey(std::uint16_t type, std::string_view name, std::int32_t initialValue = 0,
                      OpenMode mode = OpenMode::Open) noexcept;

    /// Waits until the value is above 0 and takes one from it.
    bool acquire() noexcept;
    /// Adds `count` to the value.
    bool release(std::int32_t count = 1) noexcept;

    /// Why the last call failed. `ErrorCode::InvalidSize` and `ErrorCode::LockError` don't occur.
    Error error() const;
    /// The same as text, see `Error::text()`.
    std::string errorString() const;

    /// What is known of this key's semaphore now: whose it is, its value, and what is in the way.
    Diagnosis diagnosis() const;

private:
    bridge::SystemSemaphore *m_semaphore;
};

} // namespace qshm

#endif

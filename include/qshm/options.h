// The policies of qshm, each with a name.
#ifndef QSHM_OPTIONS_H
#define QSHM_OPTIONS_H

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace qshm {

/// Who may use the segments, semaphores and key files of this process.
enum class AccessPolicy : std::int32_t {
    /// Only the user that the process runs as, as Qt does it.
    Owner = 0,
    /// As `Owner`, but what root makes on behalf of a user (sudo, pkexec, doas, su) belongs to
    /// that user, so that both share. The default.
    Invoker = 1,
    /// Also everybody in the group `Options::group`.
    Group = 2,
    /// Every local user reads and alters the contents. Qt up to 4.8.4 did that, which was
    /// CVE-2013-0254.
    World = 3,
};

/// What happens to a segment that no process is attached to.
enum class Leftover : std::int32_t {
    /// It is what a crash left: `create()` replaces it, `attach()` does not find it. The default.
    Discard = 0,
    /// It stays, as with Qt: `create()` says that it exists, `attach()` finds it.
    Keep = 1,
};

/// What happens where the objects of a key belong to somebody who does not let us use them.
enum class InTheWay : std::int32_t {
    /// A key of our own identity is used instead, in a private directory. The default.
    StepAside = 0,
    /// The call fails with `ErrorCode::PermissionDenied`, as with Qt.
    Fail = 1,
};

/// Versions of Qt that make the same native keys.
enum class QtGeneration : std::int32_t {
    /// 4.4 to 4.8.
    Qt4 = 0,
    /// 5.0 to 5.8.
    Qt50 = 1,
    /// 5.9 to 6.5. The default where no Qt is loaded.
    Qt59 = 2,
    /// 6.6 and later.
    Qt66 = 3,
};

/// Some policies; what has no value is left as it was.
///
/// A policy may be set for one object, by the environment (`QSHM_ACCESS`, `QSHM_LEFTOVER`,
/// `QSHM_IN_THE_WAY`, `QSHM_QT`, `QSHM_LOCK_WAIT`), and for the process. The first that says
/// something counts, in this order.
///
/// ```cpp
/// qshm::Options options;
/// options.inTheWay = qshm::InTheWay::Fail;
/// options.lockWait = std::chrono::seconds(2);
/// qshm::setProcessOptions(options);
/// ```
struct Options
{
    /// Who may use what we make.
    std::optional<AccessPolicy> access;
    /// The gid for `AccessPolicy::Group`; not looked at otherwise.
    std::uint32_t group = 0;
    /// What happens to what a crash left.
    std::optional<Leftover> leftover;
    /// What happens where somebody else's objects are in the way.
    std::optional<InTheWay> inTheWay;
    /// Whose native keys to use. Without it, those of the Qt that is loaded.
    std::optional<QtGeneration> generation;
    /// How long another process's `create()`, `attach()` or `detach()` is waited for before
    /// ours fails with `ErrorCode::Busy`. 10 seconds by default. (`lock()` is something else.)
    std::optional<std::chrono::milliseconds> lockWait;
};

/// Sets policies for all objects of this process; those without a value stay. Objects follow at
/// their next call of `create()`, `attach()` or `setKey()`.
void setProcessOptions(const Options &options) noexcept;

/// Tells which Qt is loaded, as `qVersion()` has it (`"5.15.8"`), so that the native keys are the
/// same as its own. `qshm::dropin` does this by itself. A text that is no version changes nothing.
void setQtVersion(std::string_view version) noexcept;

} // namespace qshm

#endif

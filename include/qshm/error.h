// Errors as Qt has them: a code, Qt's own text, and behind it what qshm knows more.
#ifndef QSHM_ERROR_H
#define QSHM_ERROR_H

#include <cstdint>
#include <string>
#include <string_view>

namespace qshm {

/// The code of an error. 0 to 8 are `QSharedMemory::SharedMemoryError`. A number is never
/// reused; later versions may add some.
enum class ErrorCode : std::int32_t {
    /// Nothing went wrong.
    NoError = 0,
    /// The objects belong to somebody who does not let us.
    PermissionDenied = 1,
    /// A size of zero or less, or one that the system does not allow.
    InvalidSize = 2,
    /// The key makes no usable key file.
    KeyError = 3,
    /// `create()` of a segment that is in use.
    AlreadyExists = 4,
    /// `attach()` without a segment.
    NotFound = 5,
    /// `lock()` before `create()` or `attach()`, or without a semaphore.
    LockError = 6,
    /// A limit of the system is reached: memory, segments, semaphores.
    OutOfResources = 7,
    /// Anything else; `Error::systemError` says what.
    UnknownError = 8,
    /// Another process is in `create()`, `attach()` or `detach()` of the key for longer than the
    /// lock wait.
    Busy = 9,
    /// The kernel has no System V IPC.
    NotSupported = 10,
};

/// Why a call failed.
///
/// ```cpp
/// if (!memory.create(4)) {
///     const qshm::Error error = memory.error();
///     if (error.code == qshm::ErrorCode::AlreadyExists)
///         memory.attach();
///     else
///         std::fprintf(stderr, "%s\n", error.text().c_str());
/// }
/// ```
struct Error
{
    /// What kind of error.
    ErrorCode code = ErrorCode::NoError;
    /// Qt's text, not yet filled in: `%1` stands for `function`, `%2` for `systemError` (after
    /// `error: ` for its strerror(), as in Qt 6.6) or, where there is an `innerPattern`, for
    /// that. Qt's translations are found by it. Lives as long as the process.
    std::string_view pattern;
    /// Qt's name of the function that failed. Lives as long as the process.
    std::string_view function;
    /// The semaphore's own error, in the words of Qt 6.6 and later; empty otherwise. Both live as
    /// long as the process.
    std::string_view innerPattern;
    /// What stands for `%1` in it.
    std::string_view innerFunction;
    /// The system's error number (`errno`), 0 if it is not known.
    int systemError = 0;
    /// What qshm knows more, in English and UTF-8: which object, whose it is, who is attached,
    /// the command that clears it. Often empty.
    std::string detail;

    /// Whether there is an error.
    explicit operator bool() const noexcept { return code != ErrorCode::NoError; }

    /// Qt's text in English, filled in, with the detail behind it in parentheses; empty if there
    /// is no error.
    std::string text() const;
    /// The same with translations of `pattern` and `innerPattern`, in UTF-8.
    std::string text(std::string_view pattern, std::string_view innerPattern) const;
};

} // namespace qshm

#endif

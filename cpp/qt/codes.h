// Qt's numbers for what qshm says. In the drop-in the compiler compares them with Qt's headers;
// the preload library has no headers to look at.
#ifndef QSHM_QT_CODES_H
#define QSHM_QT_CODES_H

#include <qshm/error.h>
#include <qshm/log.h>
#include <qshm/shared_memory.h>
#include <qshm/system_semaphore.h>

#include <string_view>

namespace qshm {
namespace qt {

/// What QSharedMemory::qt_metacast() of the drop-in answers to, with the object itself.
constexpr char ClassMark[] = "qshm::dropin::QSharedMemory";

/// QSharedMemory::SharedMemoryError: the code itself, where Qt has it.
constexpr int memoryErrorOf(ErrorCode code)
{
    switch (code) {
    case ErrorCode::Busy: return int(ErrorCode::LockError);
    case ErrorCode::NotSupported: return int(ErrorCode::UnknownError);
    default: return int(code);
    }
}

/// QSystemSemaphore::SystemSemaphoreError.
constexpr int semaphoreErrorOf(ErrorCode code)
{
    switch (code) {
    case ErrorCode::NoError: return 0;
    case ErrorCode::PermissionDenied: return 1;
    case ErrorCode::KeyError: return 2;
    case ErrorCode::AlreadyExists: return 3;
    case ErrorCode::NotFound: return 4;
    case ErrorCode::OutOfResources: return 5;
    case ErrorCode::InvalidSize:
    case ErrorCode::LockError:
    case ErrorCode::Busy:
    case ErrorCode::NotSupported:
    case ErrorCode::UnknownError: break;
    }
    return 6;
}

/// From QSharedMemory::AccessMode.
constexpr AccessMode accessModeOf(int mode)
{
    return mode == 0 ? AccessMode::ReadOnly : AccessMode::ReadWrite;
}

/// From QSystemSemaphore::AccessMode.
constexpr OpenMode openModeOf(int mode)
{
    return mode == 1 ? OpenMode::Create : OpenMode::Open;
}

/// QtMsgType.
constexpr int messageTypeOf(LogLevel level)
{
    switch (level) {
    case LogLevel::Error: return 2;
    case LogLevel::Warning: return 1;
    case LogLevel::Info: return 4;
    case LogLevel::Debug:
    case LogLevel::Trace: break;
    }
    return 0;
}

/// Whether a message is one that Qt's own classes would print, in the default category.
constexpr bool isQts(std::string_view target)
{
    return target == "qt";
}

/// Under which names Qt's translators know a text.
struct Context
{
    const char *name;
    const char *disambiguation;
};

/// The texts of QSystemSemaphore, by the major version of Qt: Qt 5 has those for keys that make
/// no semaphore in another context than the rest.
constexpr Context semaphoreContextOf(ErrorCode code, int major)
{
    if (major < 6 && code == ErrorCode::KeyError)
        return { "QCoreApplication", "QSystemSemaphore" };
    return { "QSystemSemaphore", nullptr };
}

} // namespace qt
} // namespace qshm

#endif

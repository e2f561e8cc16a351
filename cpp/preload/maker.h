// Who made an object, and whose members are called on it.
#ifndef QSHM_PRELOAD_MAKER_H
#define QSHM_PRELOAD_MAKER_H

#include "loaded_qt.h"

namespace qshm {
namespace preload {

/// Who made an object of QSharedMemory.
struct MemoryMaker
{
    /// The Qt to serve it with; null if it is left to `members`: the Qt is not served, or it was
    /// not Qt's constructor that made the object but that of another replacement, such as the
    /// drop-in in a library of the program.
    const LoadedQt *served;
    /// What would be called if this library were not there.
    const MemoryMembers *members;
};

/// Found by the private part of the object, which its constructor has made and a subclass does
/// not change. `caller`: an address in the code that calls.
MemoryMaker makerOf(const void *object, const void *caller);

/// The same for an object of QSystemSemaphore that the code at `caller` is about to make. What
/// Qt makes for itself is left to it.
struct SemaphoreMaker
{
    const LoadedQt *served;
    const SemaphoreMembers *members;
};
SemaphoreMaker semaphoreMakerOf(const void *caller);

} // namespace preload
} // namespace qshm

#endif

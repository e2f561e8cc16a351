// The vtable of Qt's QSharedMemory with our destructors in it.
#ifndef QSHM_PRELOAD_VTABLE_H
#define QSHM_PRELOAD_VTABLE_H

#include "members.h"

namespace qshm {
namespace preload {

/// Qt's own vtable leads to Qt's destructors: they are bound inside the library, so a name that
/// is exported elsewhere does not come before them. An object that is deleted as the QObject that
/// it is, by its parent for one, would never detach. So objects get a copy of the vtable.
class Vtable
{
public:
    /// Makes the copy. `original` is what an object points to. False if it is not understood.
    bool replace(const Symbols &symbols, const void *original, const MemoryMembers &qts);

    /// Gives an object that is exactly a QSharedMemory the copy. One of a subclass has a vtable
    /// of its own, with a destructor that calls ours by name.
    void giveTo(void *object) const;

private:
    const void *m_original = nullptr;
    const void *m_copy = nullptr;
};

} // namespace preload
} // namespace qshm

#endif

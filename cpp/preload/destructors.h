// The destructors of QSharedMemory that this library exports, as functions: that is what they
// are in a vtable, and a class with a virtual destructor would bring a vtable of its own.
#ifndef QSHM_PRELOAD_DESTRUCTORS_H
#define QSHM_PRELOAD_DESTRUCTORS_H

namespace qshm {
namespace preload {

using Destructor = void(void *);

/// Destroys the object and gives its memory back.
[[gnu::visibility("default")]] void deleteMemory(void *object) asm("_ZN13QSharedMemoryD0Ev");
/// Destroys the object.
[[gnu::visibility("default")]] void destroyMemory(void *object) asm("_ZN13QSharedMemoryD1Ev");
/// Destroys the object as a part of one of a subclass.
[[gnu::visibility("default")]] void destroyMemoryBase(void *object) asm("_ZN13QSharedMemoryD2Ev");

} // namespace preload
} // namespace qshm

#endif

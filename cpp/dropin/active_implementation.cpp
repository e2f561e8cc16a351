// Asks the classes themselves whose they are: the names may lead to Qt, to the drop-in linked
// here, or to one in another part of the process.

#include "../qt/codes.h"
#include "runtime.h"

#include <qshm/dropin.h>

#include <QtCore/qsharedmemory.h>

#include <cstring>
#include <memory>

#include <dlfcn.h>

namespace qshm {

namespace {

// Where a call of QSharedMemory::lock() from here leads to.
void *lockSeenFromHere()
{
    // A pointer to a member that is not virtual begins with the function's address (the C++ ABI
    // of Linux); there is no cast for it.
    bool (QSharedMemory::*const member)() = &QSharedMemory::lock;
    void *address = nullptr;
    static_assert(sizeof(member) >= sizeof(address), "a pointer to member has an address in it");
    std::memcpy(&address, &member, sizeof(address));
    return address;
}

// Whether the rest of the process is led to the same place. It is not where a linker option has
// hidden our names from it.
bool isTheSameForAll()
{
    void *const forAll = dlsym(RTLD_DEFAULT, "_ZN13QSharedMemory4lockEv");
    // No such name: everything is linked statically, or Qt is in a namespace.
    return !forAll || forAll == lockSeenFromHere();
}

// Keeps the compiler from knowing the object's class, so that the call goes through the vtable.
bool answersToMark(QObject *volatile object)
{
    return object->qt_metacast(qt::ClassMark);
}

// In a static library, asking has to bring the classes along.
[[gnu::used]] const void *const classes = &dropin::sharedMemoryPart;

} // namespace

Implementation activeImplementation()
{
    auto object = std::make_unique<QSharedMemory>();
    const bool vtableIsOurs = answersToMark(object.get());
    const bool nameIsOurs = object->QSharedMemory::qt_metacast(qt::ClassMark);
    if (vtableIsOurs == nameIsOurs && isTheSameForAll())
        return nameIsOurs ? Implementation::Qshm : Implementation::Qt;
    // To destroy what may have been made by the other is not safe.
    static_cast<void>(object.release());
    return Implementation::Mixed;
}

} // namespace qshm

// The shared library and the plug-in.
#include "probe.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT const char *libraryOwner()
{
    static const std::string owner = ownerOfAttach();
    return owner.c_str();
}

EXPORT QSharedMemory *libraryMake()
{
    return new QSharedMemory(QStringLiteral("qshm cmake test"));
}

EXPORT bool libraryUse(QSharedMemory *memory)
{
    return memory->isAttached() || !memory->detach();
}

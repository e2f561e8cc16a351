// Whose QSharedMemory the file that includes this one gets.
#ifndef PROBE_H
#define PROBE_H

#include <QSharedMemory>

#include <cstring>
#include <dlfcn.h>
#include <string>

// The program or library that QSharedMemory::attach leads to from here.
inline std::string ownerOfAttach()
{
    bool (QSharedMemory::*member)(QSharedMemory::AccessMode) = &QSharedMemory::attach;
    void *address = nullptr;
    std::memcpy(&address, &member, sizeof address);
    Dl_info info {};
    return dladdr(address, &info) != 0 ? info.dli_fname : "nobody";
}

#endif

// The members of Qt's two classes, as functions: those of a Qt, or of whatever else there is.
#ifndef QSHM_PRELOAD_MEMBERS_H
#define QSHM_PRELOAD_MEMBERS_H

#include "ipc_keys.h"
#include "strings.h"

#include <cstdint>

namespace qshm {
namespace preload {

/// QSharedMemory. The object comes first, as the C++ ABI has it.
struct MemoryMembers
{
    void (*setKey)(void *, const Raw &);
    void (*setNativeKey)(void *, const Raw &);
    Returned (*key)(const void *);
    Returned (*nativeKey)(const void *);
    // The size is an int in Qt 5: then only the lower half counts.
    bool (*create)(void *, std::int64_t, int);
    bool (*attach)(void *, int);
    bool (*detach)(void *);
    bool (*isAttached)(const void *);
    void *(*data)(void *);
    const void *(*constData)(const void *);
    std::int64_t (*size)(const void *);
    bool (*lock)(void *);
    bool (*unlock)(void *);
    int (*error)(const void *);
    Returned (*errorString)(const void *);
    void (*deleteObject)(void *);
    void (*destroy)(void *);
    void (*destroyBase)(void *);
    // From 6.6 on, null before.
    void (*setIpcKey)(void *, const RawIpcKey &);
    RawIpcKey (*ipcKey)(const void *);

    /// False if one is missing that every version has.
    bool resolve(const Symbols &symbols, int major);
};

/// QSystemSemaphore.
struct SemaphoreMembers
{
    void (*construct)(void *, const Raw &, int, int);
    void (*destroy)(void *);
    void (*setKey)(void *, const Raw &, int, int);
    Returned (*key)(const void *);
    bool (*acquire)(void *);
    bool (*release)(void *, int);
    int (*error)(const void *);
    Returned (*errorString)(const void *);
    // From 6.6 on, null before.
    void (*constructWithIpcKey)(void *, const RawIpcKey &, int, int);
    void (*setIpcKey)(void *, const RawIpcKey &, int, int);
    RawIpcKey (*ipcKey)(const void *);

    /// False if one is missing that every version has.
    bool resolve(const Symbols &symbols);
};

} // namespace preload
} // namespace qshm

#endif

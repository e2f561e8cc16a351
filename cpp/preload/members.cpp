#include "members.h"

namespace qshm {
namespace preload {

bool MemoryMembers::resolve(const Symbols &symbols, int major)
{
    symbols.find(setIpcKey, "_ZN13QSharedMemory12setNativeKeyERK13QNativeIpcKey");
    symbols.find(ipcKey, "_ZNK13QSharedMemory12nativeIpcKeyEv");
    // All of them are looked for, also when one is missing.
    return symbols.find(setKey, "_ZN13QSharedMemory6setKeyERK7QString")
            & symbols.find(setNativeKey, "_ZN13QSharedMemory12setNativeKeyERK7QString")
            & symbols.find(key, "_ZNK13QSharedMemory3keyEv")
            & symbols.find(nativeKey, "_ZNK13QSharedMemory9nativeKeyEv")
            & symbols.find(create,
                           major == 5 ? "_ZN13QSharedMemory6createEiNS_10AccessModeE"
                                      : "_ZN13QSharedMemory6createExNS_10AccessModeE")
            & symbols.find(attach, "_ZN13QSharedMemory6attachENS_10AccessModeE")
            & symbols.find(detach, "_ZN13QSharedMemory6detachEv")
            & symbols.find(isAttached, "_ZNK13QSharedMemory10isAttachedEv")
            & symbols.find(data, "_ZN13QSharedMemory4dataEv")
            & symbols.find(constData, "_ZNK13QSharedMemory9constDataEv")
            & symbols.find(size, "_ZNK13QSharedMemory4sizeEv")
            & symbols.find(lock, "_ZN13QSharedMemory4lockEv")
            & symbols.find(unlock, "_ZN13QSharedMemory6unlockEv")
            & symbols.find(error, "_ZNK13QSharedMemory5errorEv")
            & symbols.find(errorString, "_ZNK13QSharedMemory11errorStringEv")
            & symbols.find(deleteObject, "_ZN13QSharedMemoryD0Ev")
            & symbols.find(destroy, "_ZN13QSharedMemoryD1Ev")
            & symbols.find(destroyBase, "_ZN13QSharedMemoryD2Ev");
}

bool SemaphoreMembers::resolve(const Symbols &symbols)
{
    symbols.find(constructWithIpcKey, "_ZN16QSystemSemaphoreC1ERK13QNativeIpcKeyiNS_10AccessModeE");
    symbols.find(setIpcKey,
                 "_ZN16QSystemSemaphore12setNativeKeyERK13QNativeIpcKeyiNS_10AccessModeE");
    symbols.find(ipcKey, "_ZNK16QSystemSemaphore12nativeIpcKeyEv");
    // All of them are looked for, also when one is missing.
    return symbols.find(construct, "_ZN16QSystemSemaphoreC1ERK7QStringiNS_10AccessModeE")
            & symbols.find(destroy, "_ZN16QSystemSemaphoreD1Ev")
            & symbols.find(setKey, "_ZN16QSystemSemaphore6setKeyERK7QStringiNS_10AccessModeE")
            & symbols.find(key, "_ZNK16QSystemSemaphore3keyEv")
            & symbols.find(acquire, "_ZN16QSystemSemaphore7acquireEv")
            & symbols.find(release, "_ZN16QSystemSemaphore7releaseEi")
            & symbols.find(error, "_ZNK16QSystemSemaphore5errorEv")
            & symbols.find(errorString, "_ZNK16QSystemSemaphore11errorStringEv");
}

} // namespace preload
} // namespace qshm

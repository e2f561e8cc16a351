// A Qt that the process has loaded: which it is, and what it can be asked for.
#ifndef QSHM_PRELOAD_LOADED_QT_H
#define QSHM_PRELOAD_LOADED_QT_H

#include "log.h"
#include "members.h"
#include "strings.h"
#include "vtable.h"

#include "../qt/codes.h"

namespace qshm {
namespace preload {

/// Made when the first object of it is seen, and kept for as long as the process lives, with the
/// library. There may be several: a program with Qt 6 can have a plug-in with Qt 5.
class LoadedQt
{
public:
    /// The Qt whose code or data is at `address`; null if that is none.
    static const LoadedQt *at(const void *address);
    /// The Qt that the code at `address` is linked with; null if it is with none.
    static const LoadedQt *usedBy(const void *address);
    /// The Qt that calls us from `address` about something of its own: a QSharedMemory of Qt has
    /// a QSystemSemaphore inside. Null if it is not Qt that calls.
    static const LoadedQt *callingFrom(const void *address);
    /// The Qt that this thread is finding out about, with an object that it makes. Null mostly.
    static const LoadedQt *lookedAt();

    /// Whether this library takes the place of its classes. A Qt that is not like those that are
    /// known (5.7 to 6.11) is left alone.
    bool isServed() const { return m_isServed; }

    int major() const { return m_major; }
    const Strings &strings() const { return m_strings; }
    /// Its own members of QSharedMemory.
    const MemoryMembers &memory() const { return m_memory; }
    /// Its own members of QSystemSemaphore.
    const SemaphoreMembers &semaphore() const { return m_semaphore; }
    /// The keys of Qt 6.6 and later; null before.
    const IpcKeys *ipcKeys() const { return m_memory.ipcKey ? &m_ipcKeys : nullptr; }
    const LogFunctions &log() const { return m_log; }

    /// What takes the place of its vtable of QSharedMemory.
    const Vtable &vtable() const { return m_vtable; }
    /// The vtable of the private part of a QSharedMemory that its own constructor has made,
    /// whatever subclass the object is of.
    const void *privateVtable() const { return m_privateVtable; }

    /// QDir::tempPath() as the name of a file.
    std::string tempPath() const;
    /// An error in the words of Qt's translators, with what qshm knows more behind it.
    Returned textOf(const Error &error, qt::Context context) const;

private:
    LoadedQt(const link_map *map, const char *version);

    std::string translated(std::string_view pattern, qt::Context context) const;

    static const LoadedQt *in(const link_map *map);
    static const LoadedQt *add(LoadedQt *qt);
    bool resolve(const Symbols &symbols);
    const void *vtableOfItsOwn(const Symbols &symbols);

    const link_map *const m_map;
    const AddressRange m_range;
    const char *const m_version;
    const int m_major;
    bool m_isServed = false;
    Strings m_strings;
    MemoryMembers m_memory {};
    SemaphoreMembers m_semaphore {};
    IpcKeys m_ipcKeys;
    LogFunctions m_log {};
    Vtable m_vtable;
    const void *m_privateVtable = nullptr;
    Returned (*m_tempPath)() = nullptr;
    Returned (*m_translate)(const char *, const char *, const char *, int) = nullptr;
    const LoadedQt *m_next = nullptr;
};

/// The first word of an object of a class with virtual functions.
inline const void *&vtableOf(void *object)
{
    return *static_cast<const void **>(object);
}

/// The vtable of a QObject's private part, which stands behind the object's own.
inline const void *privateVtableOf(const void *object)
{
    const void *const part = static_cast<const void *const *>(object)[1];
    return part ? *static_cast<const void *const *>(part) : nullptr;
}

} // namespace preload
} // namespace qshm

#endif

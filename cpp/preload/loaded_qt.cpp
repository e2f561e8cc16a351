#include "loaded_qt.h"

#include <qshm/options.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <mutex>

namespace qshm {
namespace preload {

namespace {

std::atomic<const LoadedQt *> first { nullptr };
std::mutex adding;
// Others do not know of it yet.
thread_local const LoadedQt *currentlyLookedAt = nullptr;

// The address of qVersion() as the library sees it, itself and what it needs. No reference to
// the library is kept.
const void *versionFunctionSeenFrom(const link_map *map)
{
    // The program itself has no name.
    void *const handle = dlopen(map->l_name[0] ? map->l_name : nullptr, RTLD_LAZY | RTLD_NOLOAD);
    if (!handle)
        return nullptr;
    const void *const function = dlsym(handle, "qVersion");
    dlclose(handle);
    return function;
}

} // namespace

LoadedQt::LoadedQt(const link_map *map, const char *version)
    : m_map(map), m_range(rangeOf(map)), m_version(version), m_major(std::atoi(version))
{ }

const LoadedQt *LoadedQt::at(const void *address)
{
    const link_map *const map = libraryOf(address);
    return map ? in(map) : nullptr;
}

const LoadedQt *LoadedQt::usedBy(const void *address)
{
    const link_map *const map = libraryOf(address);
    const void *function = map ? versionFunctionSeenFrom(map) : nullptr;
    // A plug-in that relies on what the program has.
    if (!function)
        function = dlsym(RTLD_DEFAULT, "qVersion");
    return function ? at(function) : nullptr;
}

const LoadedQt *LoadedQt::callingFrom(const void *address)
{
    if (const LoadedQt *const qt = lookedAt())
        return qt;
    for (const LoadedQt *qt = first.load(std::memory_order_acquire); qt; qt = qt->m_next) {
        if (qt->m_range.contains(address))
            return qt;
    }
    return nullptr;
}

const LoadedQt *LoadedQt::lookedAt()
{
    return currentlyLookedAt;
}

// No lock is held while the dynamic linker is asked: it has one of its own, which a thread that
// is loading a library holds while the library's static objects are made.
const LoadedQt *LoadedQt::in(const link_map *map)
{
    for (const LoadedQt *qt = first.load(std::memory_order_acquire); qt; qt = qt->m_next) {
        if (qt->m_map == map)
            return qt;
    }
    // From here on it is not unloaded.
    void *const handle = dlopen(map->l_name[0] ? map->l_name : nullptr,
                                RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    if (!handle)
        return nullptr;
    const Symbols symbols(handle);
    const char *(*version)() = nullptr;
    if (!symbols.find(version, "qVersion")
        || libraryOf(reinterpret_cast<const void *>(version)) != map) {
        dlclose(handle);
        return nullptr;
    }
    auto *const qt = new LoadedQt(map, version());
    qt->m_isServed = qt->resolve(symbols);
    return add(qt);
}

const LoadedQt *LoadedQt::add(LoadedQt *qt)
{
    const std::lock_guard<std::mutex> guard(adding);
    for (const LoadedQt *other = first.load(std::memory_order_relaxed); other;
         other = other->m_next) {
        if (other->m_map == qt->m_map) {
            // Another thread was faster.
            delete qt;
            return other;
        }
    }
    qt->m_next = first.load(std::memory_order_relaxed);
    if (qt->m_isServed && startLog(*qt))
        setQtVersion(qt->m_version);
    first.store(qt, std::memory_order_release);
    return qt;
}

bool LoadedQt::resolve(const Symbols &symbols)
{
    // Also a Qt that is not served is asked for its members, and how its objects look.
    const bool members = m_memory.resolve(symbols, m_major) & m_semaphore.resolve(symbols);
    const void *const vtable = members ? vtableOfItsOwn(symbols) : nullptr;
    return vtable && symbols.find(m_tempPath, "_ZN4QDir8tempPathEv")
            && symbols.find(m_translate, "_ZN16QCoreApplication9translateEPKcS1_S1_i")
            && m_log.resolve(symbols) && m_strings.resolve(symbols, m_major)
            && (!m_memory.ipcKey || m_ipcKeys.resolve(symbols, m_strings))
            && m_vtable.replace(symbols, vtable, m_memory);
}

// An object without a key makes nothing in the system, and shows what all others look like.
const void *LoadedQt::vtableOfItsOwn(const Symbols &symbols)
{
    void (*construct)(void *, void *parent) = nullptr;
    if (!symbols.find(construct, "_ZN13QSharedMemoryC1EP7QObject"))
        return nullptr;
    alignas(std::max_align_t) unsigned char object[64];
    currentlyLookedAt = this;
    construct(object, nullptr);
    const void *const vtable = vtableOf(object);
    m_privateVtable = privateVtableOf(object);
    m_memory.destroy(object);
    currentlyLookedAt = nullptr;
    return vtable;
}

std::string LoadedQt::tempPath() const
{
    return Text(m_strings, m_tempPath).local8Bit();
}

std::string LoadedQt::translated(std::string_view pattern, qt::Context context) const
{
    const std::string text(pattern);
    return Text(m_strings,
                [&] { return m_translate(context.name, text.c_str(), context.disambiguation, -1); })
            .utf8();
}

Returned LoadedQt::textOf(const Error &error, qt::Context context) const
{
    if (!error)
        return Returned(m_strings);
    const std::string inner = error.innerPattern.empty()
            ? std::string()
            : translated(error.innerPattern, qt::semaphoreContextOf(error.code, m_major));
    return m_strings.fromUtf8(error.text(translated(error.pattern, context), inner));
}

} // namespace preload
} // namespace qshm

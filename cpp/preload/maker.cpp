#include "maker.h"

#include <atomic>
#include <cstdlib>
#include <mutex>

namespace qshm {
namespace preload {

namespace {

// What was found out. Entries stay for ever, like the Qt libraries that they are about.
struct Known
{
    const void *privateVtable;
    MemoryMaker maker;
    const Known *next;
};
std::atomic<const Known *> firstKnown { nullptr };
std::mutex adding;

MemoryMaker remember(const void *privateVtable, MemoryMaker maker)
{
    const std::lock_guard<std::mutex> guard(adding);
    const Known *const next = firstKnown.load(std::memory_order_relaxed);
    // Two threads may find out the same: whichever is found first is as good.
    firstKnown.store(new Known { privateVtable, maker, next }, std::memory_order_release);
    return maker;
}

// Without this library, the call would be a symbol that the dynamic linker does not find.
[[noreturn]] void undefined()
{
    std::abort();
}

// Where the code at `caller` would find names if this library were not there: first behind it,
// then in its own library and what that needs.
class Places
{
public:
    explicit Places(const void *caller)
    {
        const link_map *const map = libraryOf(caller);
        if (map && map->l_name[0])
            m_handle = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
    }
    ~Places()
    {
        if (m_handle)
            dlclose(m_handle);
    }
    Places(const Places &) = delete;
    Places &operator=(const Places &) = delete;

    Symbols behindUs() const { return Symbols(RTLD_NEXT); }
    Symbols ofCaller() const { return Symbols(m_handle ? m_handle : RTLD_DEFAULT); }

private:
    void *m_handle = nullptr;
};

template <typename Function>
bool isQts(Function *function)
{
    return LoadedQt::at(reinterpret_cast<const void *>(function));
}

// The members of another replacement. Its constructor has made the object, so its members are
// what the caller sees.
const MemoryMembers *replacement(const void *caller, int major)
{
    const Places places(caller);
    auto *const members = new MemoryMembers {};
    if (members->resolve(places.behindUs(), major) && !isQts(members->create))
        return members;
    if (members->resolve(places.ofCaller(), major) && !isQts(members->create))
        return members;
    delete members;
    return nullptr;
}

// The same for semaphores, found out once for all: the order of the libraries that a program starts
// with does not change. Two threads may find it out at once, without a lock; see LoadedQt::in().
const SemaphoreMembers *semaphoreReplacement()
{
    static std::atomic<bool> found { false };
    static std::atomic<const SemaphoreMembers *> replacement { nullptr };
    if (found.load(std::memory_order_acquire))
        return replacement.load(std::memory_order_relaxed);
    auto *const members = new SemaphoreMembers {};
    if (members->resolve(Symbols(RTLD_NEXT)) && !isQts(members->acquire))
        replacement.store(members, std::memory_order_relaxed);
    else
        delete members;
    found.store(true, std::memory_order_release);
    return replacement.load(std::memory_order_relaxed);
}

} // namespace

MemoryMaker makerOf(const void *object, const void *caller)
{
    if (const LoadedQt *const qt = LoadedQt::lookedAt())
        return { nullptr, &qt->memory() };
    const void *const vtable = privateVtableOf(object);
    for (const Known *known = firstKnown.load(std::memory_order_acquire); known;
         known = known->next) {
        if (known->privateVtable == vtable)
            return known->maker;
    }
    const LoadedQt *const qt = LoadedQt::at(vtable);
    if (!qt)
        undefined();
    if (!qt->privateVtable() || vtable == qt->privateVtable())
        return remember(vtable, { qt->isServed() ? qt : nullptr, &qt->memory() });
    if (const MemoryMembers *const members = replacement(caller, qt->major()))
        return remember(vtable, { nullptr, members });
    return { nullptr, &qt->memory() };
}

SemaphoreMaker semaphoreMakerOf(const void *caller)
{
    // Before Qt is looked at, which makes a semaphore of its own.
    if (const LoadedQt *const qt = LoadedQt::callingFrom(caller))
        return { nullptr, &qt->semaphore() };
    if (const SemaphoreMembers *const members = semaphoreReplacement())
        return { nullptr, members };
    const LoadedQt *const qt = LoadedQt::usedBy(caller);
    if (!qt)
        undefined();
    // Now it is known, if it was not before.
    const bool isQts = LoadedQt::callingFrom(caller);
    return { qt->isServed() && !isQts ? qt : nullptr, &qt->semaphore() };
}

} // namespace preload
} // namespace qshm

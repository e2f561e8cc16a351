#include "vtable.h"

#include "destructors.h"

#include <algorithm>
#include <cstddef>

#include <sys/mman.h>

namespace qshm {
namespace preload {

namespace {

// Where an object points to: behind the offset to the top and the type's information.
constexpr std::size_t AddressPoint = 2;
// More than Qt has, less than a page.
constexpr std::size_t MostEntries = 64;

// How many entries the vtable has, by the size of its symbol; 0 if it is not the one at
// `addressPoint`.
std::size_t entriesOf(const void *table, const void *addressPoint)
{
    Dl_info info;
    void *symbol = nullptr;
    if (!table || static_cast<const void *const *>(table) + AddressPoint != addressPoint
        || !dladdr1(table, &info, &symbol, RTLD_DL_SYMENT) || !symbol)
        return 0;
    return static_cast<const ElfW(Sym) *>(symbol)->st_size / sizeof(void *);
}

} // namespace

bool Vtable::replace(const Symbols &symbols, const void *original, const MemoryMembers &qts)
{
    const void *const table = symbols.find("_ZTV13QSharedMemory");
    const std::size_t entries = entriesOf(table, original);
    if (entries <= AddressPoint || entries > MostEntries)
        return false;
    const std::size_t size = entries * sizeof(void *);
    void *const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                              -1, 0);
    if (memory == MAP_FAILED)
        return false;

    auto *const copy = static_cast<const void **>(memory);
    std::copy_n(static_cast<const void *const *>(table), entries, copy);
    const auto put = [copy, entries](Destructor *qts, Destructor *ours) {
        std::replace(copy, copy + entries, reinterpret_cast<const void *>(qts),
                     reinterpret_cast<const void *>(ours));
        return std::count(copy, copy + entries, reinterpret_cast<const void *>(ours)) == 1;
    };
    const bool good = put(qts.destroy, destroyMemory) && put(qts.deleteObject, deleteMemory)
            && mprotect(memory, size, PROT_READ) == 0;
    if (!good) {
        munmap(memory, size);
        return false;
    }
    m_original = original;
    m_copy = copy + AddressPoint;
    return true;
}

void Vtable::giveTo(void *object) const
{
    const void *&vtable = *static_cast<const void **>(object);
    if (vtable == m_original)
        vtable = m_copy;
}

} // namespace preload
} // namespace qshm

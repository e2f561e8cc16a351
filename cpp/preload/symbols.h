// Functions of a library that is already loaded, by their mangled names.
#ifndef QSHM_PRELOAD_SYMBOLS_H
#define QSHM_PRELOAD_SYMBOLS_H

#include <algorithm>
#include <cstdint>

#include <dlfcn.h>
#include <link.h>

namespace qshm {
namespace preload {

/// Where to look: a library and what it needs, or the libraries that stand behind this one
/// (RTLD_NEXT).
class Symbols
{
public:
    explicit Symbols(void *handle) : m_handle(handle) { }

    void *find(const char *name) const { return dlsym(m_handle, name); }

    /// Sets `function`, null if there is no such name.
    template <typename Function>
    bool find(Function *&function, const char *name) const
    {
        function = reinterpret_cast<Function *>(find(name));
        return function;
    }

private:
    void *m_handle;
};

/// The loaded library that an address is in, null if it is in none.
inline const link_map *libraryOf(const void *address)
{
    Dl_info info;
    void *map = nullptr;
    return dladdr1(address, &info, &map, RTLD_DL_LINKMAP) ? static_cast<link_map *>(map) : nullptr;
}

/// From the first to the last byte of a loaded library.
struct AddressRange
{
    std::uintptr_t begin = UINTPTR_MAX;
    std::uintptr_t end = 0;

    bool contains(const void *address) const
    {
        const auto number = reinterpret_cast<std::uintptr_t>(address);
        return number >= begin && number < end;
    }
};

inline AddressRange rangeOf(const link_map *map)
{
    struct Search
    {
        const link_map *map;
        AddressRange range;
    };
    Search search { map, {} };
    const auto look = [](dl_phdr_info *info, std::size_t, void *data) {
        Search &search = *static_cast<Search *>(data);
        if (info->dlpi_addr != search.map->l_addr)
            return 0;
        for (int i = 0; i < info->dlpi_phnum; ++i) {
            const ElfW(Phdr) &part = info->dlpi_phdr[i];
            if (part.p_type != PT_LOAD)
                continue;
            const std::uintptr_t begin = info->dlpi_addr + part.p_vaddr;
            search.range.begin = std::min(search.range.begin, begin);
            search.range.end = std::max(search.range.end, begin + part.p_memsz);
        }
        return 1;
    };
    dl_iterate_phdr(look, &search);
    return search.range;
}

} // namespace preload
} // namespace qshm

#endif

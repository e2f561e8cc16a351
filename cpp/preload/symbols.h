// Functions of a library that is already loaded, by their mangled names.
#ifndef QSHM_PRELOAD_SYMBOLS_H
#define QSHM_PRELOAD_SYMBOLS_H

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

} // namespace preload
} // namespace qshm

#endif

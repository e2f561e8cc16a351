// QNativeIpcKey of Qt 6.6 and later, without its header.
#ifndef QSHM_PRELOAD_IPC_KEYS_H
#define QSHM_PRELOAD_IPC_KEYS_H

#include "strings.h"

#include <cstdint>

namespace qshm {
namespace preload {

class IpcKeys;

/// The memory of a QNativeIpcKey. As `Returned`, it has a destructor so that functions return it as
/// they return Qt's class, and frees nothing: see `IpcKey`.
class RawIpcKey
{
public:
    RawIpcKey() { }
    /// A key like the other.
    RawIpcKey(const IpcKeys &keys, const RawIpcKey &other);
    /// A key without a name.
    RawIpcKey(const Strings &strings, std::uint16_t type);
    ~RawIpcKey() { }
    RawIpcKey(const RawIpcKey &) = delete;
    RawIpcKey &operator=(const RawIpcKey &) = delete;

    /// A number of QNativeIpcKey::Type.
    std::uint16_t type() const { return m_type; }
    void setType(std::uint16_t type) { m_type = type; }
    /// QNativeIpcKey::nativeKey().
    const Raw &name() const { return m_name; }

private:
    friend class IpcKeys;

    // What is rare: among it what setKey() was given. Null mostly.
    void *m_more;
    Raw m_name;
    std::uint16_t m_type;
    std::uint16_t m_reserved[3];
};

/// What is needed of the class: its exported functions, and of its members those that every
/// program has compiled in.
class IpcKeys
{
public:
    static constexpr std::uint16_t SystemV = 0x51;

    /// Looks the functions up and tries them out; `strings` must outlive this. False if something
    /// is missing or not as expected.
    bool resolve(const Symbols &symbols, const Strings &strings);

    /// QSystemSemaphore::legacyNativeKey().
    RawIpcKey legacySemaphoreKey(const Raw &key, std::uint16_t type = SystemV) const
    {
        return m_legacy(key, type);
    }
    bool isSupported(std::uint16_t type) const { return m_isSupported(type); }
    bool areEqual(const RawIpcKey &one, const RawIpcKey &other) const;
    bool isEmpty(const RawIpcKey &key) const;
    /// What setKey() was given, as a QString; null if the key is not made of that.
    Returned legacyKeyOf(const RawIpcKey &key) const;

    void copy(RawIpcKey *to, const RawIpcKey &from) const;
    /// Frees what a key holds.
    void release(RawIpcKey *key) const;

private:
    bool work() const;

    const Strings *m_strings = nullptr;
    RawIpcKey (*m_legacy)(const Raw &, std::uint16_t) = nullptr;
    bool (*m_isSupported)(std::uint16_t) = nullptr;
    Returned (*m_toString)(const RawIpcKey &) = nullptr;
    int (*m_compare)(const RawIpcKey &, const RawIpcKey &) = nullptr;
    void (*m_copyMore)(RawIpcKey *, const RawIpcKey &) = nullptr;
    void (*m_destroyMore)(RawIpcKey *) = nullptr;
};

/// A QNativeIpcKey that is freed.
class IpcKey
{
public:
    /// What `make()` returns.
    template <typename Make>
    IpcKey(const IpcKeys &keys, Make make) : m_keys(keys), m_key(make())
    { }
    ~IpcKey() { m_keys.release(&m_key); }
    IpcKey(const IpcKey &) = delete;
    IpcKey &operator=(const IpcKey &) = delete;

    const RawIpcKey &raw() const { return m_key; }

private:
    const IpcKeys &m_keys;
    RawIpcKey m_key;
};

} // namespace preload
} // namespace qshm

#endif

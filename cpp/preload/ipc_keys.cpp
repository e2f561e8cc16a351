#include "ipc_keys.h"

namespace qshm {
namespace preload {

namespace {

// How QNativeIpcKey::toString() says what setKey() was given. A question mark of the name itself
// is written in another way.
constexpr std::string_view LegacyMark = "?legacyKey=";

int digitOf(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string decoded(std::string_view percent)
{
    std::string text;
    for (std::size_t i = 0; i < percent.size(); ++i) {
        const bool whole = percent[i] == '%' && i + 2 < percent.size();
        const int high = whole ? digitOf(percent[i + 1]) : -1;
        const int low = whole ? digitOf(percent[i + 2]) : -1;
        if (high < 0 || low < 0) {
            text += percent[i];
            continue;
        }
        text += char(high * 16 + low);
        i += 2;
    }
    return text;
}

} // namespace

RawIpcKey::RawIpcKey(const IpcKeys &keys, const RawIpcKey &other)
{
    keys.copy(this, other);
}

RawIpcKey::RawIpcKey(const Strings &strings, std::uint16_t type)
    : m_more(nullptr), m_type(type), m_reserved {}
{
    strings.makeNull(&m_name);
}

bool IpcKeys::resolve(const Symbols &symbols, const Strings &strings)
{
    m_strings = &strings;
    return symbols.find(m_legacy,
                        "_ZN16QSystemSemaphore15legacyNativeKeyERK7QStringN13QNativeIpcKey4TypeE")
            && symbols.find(m_isSupported,
                            "_ZN16QSystemSemaphore18isKeyTypeSupportedEN13QNativeIpcKey4TypeE")
            && symbols.find(m_toString, "_ZNK13QNativeIpcKey8toStringEv")
            && symbols.find(m_compare, "_ZN13QNativeIpcKey16compare_internalERKS_S1_")
            && symbols.find(m_copyMore, "_ZN13QNativeIpcKey13copy_internalERKS_")
            && symbols.find(m_destroyMore, "_ZN13QNativeIpcKey16destroy_internalEv") && work();
}

// What is known of the memory of a key, tried on one that has it all.
bool IpcKeys::work() const
{
    const Text text(*m_strings, [this] { return m_strings->fromUtf8("q 1"); });
    const IpcKey legacy(*this, [&] { return legacySemaphoreKey(text.raw()); });
    const IpcKey empty(*this, [this] { return RawIpcKey(*m_strings, SystemV); });
    const IpcKey copied(*this, [&] { return RawIpcKey(*this, legacy.raw()); });
    const Text key(*m_strings, [&] { return legacyKeyOf(copied.raw()); });
    const Text none(*m_strings, [&] { return legacyKeyOf(empty.raw()); });
    return legacy.raw().m_more && legacy.raw().type() == SystemV && !isEmpty(legacy.raw())
            && isEmpty(empty.raw()) && key.utf8() == "q 1" && none.isNull()
            && areEqual(legacy.raw(), copied.raw()) && !areEqual(legacy.raw(), empty.raw());
}

bool IpcKeys::areEqual(const RawIpcKey &one, const RawIpcKey &other) const
{
    return one.type() == other.type() && m_strings->areEqual(one.name(), other.name())
            && (one.m_more == other.m_more || m_compare(one, other) == 0);
}

bool IpcKeys::isEmpty(const RawIpcKey &key) const
{
    return m_strings->isEmpty(key.name());
}

Returned IpcKeys::legacyKeyOf(const RawIpcKey &key) const
{
    const std::string text = Text(*m_strings, [&] { return m_toString(key); }).utf8();
    const std::size_t mark = text.find(LegacyMark);
    if (mark == std::string::npos)
        return Returned(*m_strings);
    return m_strings->fromUtf8(decoded(std::string_view(text).substr(mark + LegacyMark.size())));
}

void IpcKeys::copy(RawIpcKey *to, const RawIpcKey &from) const
{
    to->m_more = from.m_more;
    to->m_type = from.m_type;
    for (int i = 0; i < 3; ++i)
        to->m_reserved[i] = from.m_reserved[i];
    m_strings->makeNull(&to->m_name);
    m_strings->assign(&to->m_name, from.name());
    if (from.m_more)
        m_copyMore(to, from);
}

void IpcKeys::release(RawIpcKey *key) const
{
    if (key->m_more)
        m_destroyMore(key);
    key->m_more = nullptr;
    m_strings->release(&key->m_name);
}

} // namespace preload
} // namespace qshm

#include "strings.h"

#include <cstdint>
#include <cstring>

namespace qshm {
namespace preload {

namespace {

/// The start of an array's data in Qt 5, to which its one word points.
struct ArrayData
{
    int references;
    int size;
    unsigned allocated;
    std::ptrdiff_t offset;
};

constexpr char Sample[] = "q\xc3\xa4\0\xe2\x82\xac";
constexpr std::string_view sample(Sample, sizeof(Sample) - 1);

} // namespace

Returned::Returned(const Strings &strings)
{
    strings.makeNull(this);
}

Returned::Returned(const Strings &strings, const Raw &other) : Returned(strings)
{
    strings.assign(this, other);
}

bool Strings::find(const Symbols &symbols)
{
    const bool common = symbols.find(m_toUtf8, "_ZN7QString13toUtf8_helperERKS_")
            && symbols.find(m_assignString, "_ZN7QStringaSERKS_")
            && symbols.find(m_assignBytes, "_ZN10QByteArrayaSERKS_");
    if (m_isQt5)
        return common && symbols.find(m_makeString5, "_ZN7QStringC1EPK5QChari")
                && symbols.find(m_makeBytes5, "_ZN10QByteArrayC1EPKci")
                && symbols.find(m_fromUtf85, "_ZN7QString15fromUtf8_helperEPKci")
                && symbols.find(m_toLocal8Bit5, "_ZN7QString18toLocal8Bit_helperEPK5QChari");
    return common && symbols.find(m_makeString6, "_ZN7QStringC1EPK5QCharx")
            && symbols.find(m_makeBytes6, "_ZN10QByteArrayC1EPKcx")
            && symbols.find(m_fromUtf86, "_ZN7QString8fromUtf8E14QByteArrayView")
            && symbols.find(m_toLocal8Bit6, "_ZN7QString18toLocal8Bit_helperEPK5QCharx");
}

bool Strings::resolve(const Symbols &symbols, int major)
{
    m_isQt5 = major == 5;
    if (!find(symbols))
        return false;
    makeNull(&m_null);
    if (m_isQt5)
        m_makeBytes5(&m_nullBytes, nullptr, 0);
    else
        m_makeBytes6(&m_nullBytes, nullptr, 0);
    return work();
}

// What is known of the memory of a string, tried on one that has it all: letters of one, two and
// three bytes, and a NUL.
bool Strings::work() const
{
    const Text text(*this, [this] { return fromUtf8(sample); });
    const Text empty(*this, [this] { return fromUtf8(""); });
    const Text null(*this, [this] { return Returned(*this); });
    constexpr std::uint16_t expected[] = { 'q', 0xe4, 0, 0x20ac };
    const Span span = spanOf(text.raw());
    return span.size == 4 && std::memcmp(span.data, expected, sizeof(expected)) == 0
            && text.utf8() == sample && !text.isNull() && empty.utf8().empty() && !empty.isNull()
            && null.isNull() && null.utf8().empty();
}

Returned Strings::fromUtf8(std::string_view text) const
{
    return m_isQt5 ? m_fromUtf85(text.data(), int(text.size()))
                   : m_fromUtf86({ std::ptrdiff_t(text.size()), text.data() });
}

void Strings::makeNull(void *memory) const
{
    if (m_isQt5)
        m_makeString5(memory, nullptr, 0);
    else
        m_makeString6(memory, nullptr, 0);
}

// Qt 5 has data that all null strings share, Qt 6 has no pointer to letters then.
bool Strings::isNull(const Raw &string) const
{
    return m_isQt5 ? string.word(0) == m_null.word(0) : !string.word(1);
}

bool Strings::areEqual(const Raw &one, const Raw &other) const
{
    const Span first = spanOf(one);
    const Span second = spanOf(other);
    return first.size == second.size
            && (first.size == 0
                || std::memcmp(first.data, second.data, first.size * sizeof(char16_t)) == 0);
}

Strings::Span Strings::spanOf(const Raw &array) const
{
    if (!m_isQt5)
        return { array.word(1), reinterpret_cast<std::size_t>(array.word(2)) };
    const auto *const data = static_cast<const ArrayData *>(array.word(0));
    return { reinterpret_cast<const char *>(data) + data->offset, std::size_t(data->size) };
}

// The bytes of the QByteArray that `make()` returns.
template <typename Make>
std::string Strings::bytesOf(Make make) const
{
    Raw bytes;
    new (&bytes) Returned(make());
    const Span span = spanOf(bytes);
    std::string result(span.size ? static_cast<const char *>(span.data) : "", span.size);
    m_assignBytes(&bytes, m_nullBytes);
    return result;
}

std::string Strings::utf8(const Raw &string) const
{
    return bytesOf([&] { return m_toUtf8(string); });
}

std::string Strings::local8Bit(const Raw &string) const
{
    const Span span = spanOf(string);
    return bytesOf([&] {
        return m_isQt5 ? m_toLocal8Bit5(span.data, int(span.size))
                       : m_toLocal8Bit6(span.data, std::ptrdiff_t(span.size));
    });
}

} // namespace preload
} // namespace qshm

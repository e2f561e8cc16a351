// QString and QByteArray of the loaded Qt, without its headers.
#ifndef QSHM_PRELOAD_STRINGS_H
#define QSHM_PRELOAD_STRINGS_H

#include "symbols.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace qshm {
namespace preload {

class Strings;

/// The memory of a QString or a QByteArray: one pointer in Qt 5, three words in Qt 6.
///
/// Functions return it as they return Qt's classes: it has a destructor, so it is made where the
/// caller says. In a caller of Qt 5 only the first word is there: therefore nothing writes to it
/// but Qt's own functions, it is initialised by nobody else, and it does not free what it holds.
class Raw
{
public:
    Raw() { }
    /// A null QString.
    explicit Raw(const Strings &strings);
    /// A QString like the other.
    Raw(const Strings &strings, const Raw &other);
    ~Raw() { }
    Raw(const Raw &) = delete;
    Raw &operator=(const Raw &) = delete;

    void *word(int index) const { return m_words[index]; }

private:
    void *m_words[3];
};

/// What is needed of the two classes.
///
/// Everything is done by functions that Qt exports, except looking at an array's size and bytes:
/// that is inline in Qt's headers, so it is compiled into every program for that major version,
/// and cannot change within it.
class Strings
{
public:
    /// Looks the functions up and tries them out. False if something is missing or not as
    /// expected: such a Qt is left alone.
    bool resolve(const Symbols &symbols, int major);

    /// A QString of this text, in UTF-8.
    Raw fromUtf8(std::string_view text) const;
    void makeNull(Raw *string) const;
    void assign(Raw *string, const Raw &value) const { m_assignString(string, value); }
    /// Frees what a QString holds, which is null from then on.
    void release(Raw *string) const { m_assignString(string, m_null); }

    const Raw &null() const { return m_null; }
    bool isNull(const Raw &string) const;
    bool isEmpty(const Raw &string) const { return spanOf(string).size == 0; }
    bool areEqual(const Raw &one, const Raw &other) const;
    std::string utf8(const Raw &string) const;
    /// In the encoding of the locale, as Qt gives names of files to the system.
    std::string local8Bit(const Raw &string) const;

private:
    struct ByteArrayView
    {
        std::ptrdiff_t size;
        const char *data;
    };
    struct Span
    {
        const void *data;
        std::size_t size;
    };

    bool find(const Symbols &symbols);
    bool work() const;
    Span spanOf(const Raw &array) const;
    std::string take(Raw *bytes) const;

    bool m_isQt5 = false;
    // Qt 5 counts by int, Qt 6 by qsizetype; of each pair only one is there.
    void (*m_makeString5)(Raw *, const void *, int) = nullptr;
    void (*m_makeString6)(Raw *, const void *, std::ptrdiff_t) = nullptr;
    void (*m_makeBytes5)(Raw *, const char *, int) = nullptr;
    void (*m_makeBytes6)(Raw *, const char *, std::ptrdiff_t) = nullptr;
    Raw (*m_fromUtf85)(const char *, int) = nullptr;
    Raw (*m_fromUtf86)(ByteArrayView) = nullptr;
    Raw (*m_toLocal8Bit5)(const void *, int) = nullptr;
    Raw (*m_toLocal8Bit6)(const void *, std::ptrdiff_t) = nullptr;
    Raw (*m_toUtf8)(const Raw &) = nullptr;
    Raw &(*m_assignString)(Raw *, const Raw &) = nullptr;
    Raw &(*m_assignBytes)(Raw *, const Raw &) = nullptr;
    // They hold nothing, so there is nothing to free.
    Raw m_null;
    Raw m_nullBytes;
};

/// A QString that is freed.
class Text
{
public:
    /// What `make()` returns.
    template <typename Make>
    Text(const Strings &strings, Make make) : m_strings(strings), m_string(make())
    { }
    ~Text() { m_strings.release(&m_string); }
    Text(const Text &) = delete;
    Text &operator=(const Text &) = delete;

    const Raw &raw() const { return m_string; }
    bool isNull() const { return m_strings.isNull(m_string); }
    std::string utf8() const { return m_strings.utf8(m_string); }
    std::string local8Bit() const { return m_strings.local8Bit(m_string); }

private:
    const Strings &m_strings;
    Raw m_string;
};

} // namespace preload
} // namespace qshm

#endif

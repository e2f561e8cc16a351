// QString and QByteArray of the loaded Qt, without its headers.
#ifndef QSHM_PRELOAD_STRINGS_H
#define QSHM_PRELOAD_STRINGS_H

#include "symbols.h"

#include <cstddef>
#include <new>
#include <string>
#include <string_view>

namespace qshm {
namespace preload {

class Strings;

/// The memory of a QString or a QByteArray: one pointer in Qt 5, three words in Qt 6.
///
/// Only Qt's functions write to it, and it frees nothing: see `Text`.
class Raw
{
public:
    // Not initialised.
    Raw() { }
    Raw(const Raw &) = delete;
    Raw &operator=(const Raw &) = delete;

    void *word(int index) const { return m_words[index]; }

private:
    void *m_words[3];
};

/// What a function returns that returns a QString or a QByteArray.
///
/// It has a destructor, as those classes have, so it is made where the caller says; by Qt's
/// functions again, or by functions that pass on what they return. It is declared with what
/// every version has: where a program of Qt 5 wants it, there is room for one word.
class Returned
{
public:
    /// A null QString.
    explicit Returned(const Strings &strings);
    /// A QString like the other.
    Returned(const Strings &strings, const Raw &other);
    ~Returned() { }
    Returned(const Returned &) = delete;
    Returned &operator=(const Returned &) = delete;

private:
    void *m_word;
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
    Returned fromUtf8(std::string_view text) const;
    /// Makes a null QString in this memory.
    void makeNull(void *memory) const;
    void assign(void *string, const Raw &value) const { m_assignString(string, value); }
    /// Frees what a QString holds, which is null from then on.
    void release(void *string) const { m_assignString(string, m_null); }

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
    template <typename Make>
    std::string bytesOf(Make make) const;

    bool m_isQt5 = false;
    // Qt 5 counts by int, Qt 6 by qsizetype; of each pair only one is there.
    void (*m_makeString5)(void *, const void *, int) = nullptr;
    void (*m_makeString6)(void *, const void *, std::ptrdiff_t) = nullptr;
    void (*m_makeBytes5)(void *, const char *, int) = nullptr;
    void (*m_makeBytes6)(void *, const char *, std::ptrdiff_t) = nullptr;
    Returned (*m_fromUtf85)(const char *, int) = nullptr;
    Returned (*m_fromUtf86)(ByteArrayView) = nullptr;
    Returned (*m_toLocal8Bit5)(const void *, int) = nullptr;
    Returned (*m_toLocal8Bit6)(const void *, std::ptrdiff_t) = nullptr;
    Returned (*m_toUtf8)(const Raw &) = nullptr;
    void *(*m_assignString)(void *, const Raw &) = nullptr;
    void *(*m_assignBytes)(void *, const Raw &) = nullptr;
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
    Text(const Strings &strings, Make make) : m_strings(strings)
    {
        new (&m_string) Returned(make());
    }
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

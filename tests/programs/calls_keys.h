// The keys, ordinary and odd, that the programs of the tests use, by names
// that fit in a line of text.

#pragma once

#include <QByteArray>
#include <QDir>
#include <QString>
#include <QtGlobal>

#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
#    include <QNativeIpcKey>
#endif

namespace keys {

struct Named
{
    const char *name;
    QString key;
};

inline QString repeated(const char *text, int count)
{
    return QString::fromLatin1(QByteArray(text).repeated(count));
}

inline const QList<Named> &all()
{
    static const QList<Named> list = {
        { "null", QString() },
        { "empty", QString::fromLatin1("") },
        { "one", QString::fromLatin1("one") },
        { "two", QString::fromLatin1("two words, and 2 more") },
        { "letter", QString::fromLatin1("x") },
        { "digits", QString::fromLatin1("0123456789") },
        // 22 + 180 + 40 characters and more: near and beyond the longest file name of 255.
        { "letters180", repeated("abcdefghi ", 20) },
        { "letters195", repeated("abc", 65) },
        { "letters196", repeated("abcd", 49) },
        { "letters200", repeated("long ", 50) },
        { "toolong", repeated("toolong", 100) },
        { "nul", QString::fromLatin1("nul\0inside", 10) },
        { "high", QString::fromLatin1("high") + QChar(0xd800) },
        { "low", QChar(0xdc00) + QString::fromLatin1("low") },
        { "accents", QString::fromUtf8("cl\xc3\xa9 \xc3\xa0 \xc3\xa9tages") },
        { "kanji", QString::fromUtf8("\xe5\x85\xb1\xe6\x9c\x89") },
        { "emoji", QString::fromUtf8("\xf0\x9f\x90\xb8") },
        { "slashes", QString::fromLatin1("../a/b//c") },
        { "newline", QString::fromLatin1("line\nline\t") },
    };
    return list;
}

// A key by its name; a name that is not in the list is itself the key.
inline QString byName(const QByteArray &name)
{
    for (const Named &named : all())
        if (name == named.name)
            return named.key;
    return QString::fromUtf8(name);
}

// "posix:NAME" and "systemv:NAME": the key that platformSafeKey() makes.
inline bool isNative(const QByteArray &name)
{
    return name.startsWith("posix:") || name.startsWith("systemv:");
}

#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
template <typename Class>
QNativeIpcKey native(const QByteArray &name)
{
    const auto type = name.startsWith("posix:") ? QNativeIpcKey::Type::PosixRealtime
                                                : QNativeIpcKey::Type::SystemV;
    return Class::platformSafeKey(byName(name.mid(name.indexOf(':') + 1)), type);
}
#endif

} // namespace keys

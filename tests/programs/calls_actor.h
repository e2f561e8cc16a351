// Makes one call, given as a line of text, on one of a few objects, and says
// everything that can be seen of it: the result, the warnings, the state of
// the object after it, and the segments that exist.

#pragma once

#include "calls_keys.h"

#include <QByteArray>
#include <QFile>
#include <QHash>
#include <QList>
#include <QSet>
#include <QSharedMemory>
#include <QSystemSemaphore>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

class Actor
{
public:
    static constexpr int Memories = 3;
    static constexpr int Semaphores = 2;

    Actor()
    {
        warnings().clear();
        qInstallMessageHandler(collect);
    }

    // What the call returned; -1 if it returns nothing.
    int perform(const QByteArray &line)
    {
        words = line.simplified().split(' ');
        const QByteArray verb = words.value(0);
        const QByteArray who = words.value(1);
        slot = who.mid(1).toInt();
        warnings().clear();
        // Shown at once, so that it is seen which call hangs.
        std::printf("%s ->", line.constData());
        std::fflush(stdout);
        int result = -1;
        if (verb == "system")
            result = std::system(line.mid(7).constData());
        else if (who.startsWith('m') && slot < Memories)
            result = memoryCall(verb);
        else if (who.startsWith('s') && slot < Semaphores)
            result = semaphoreCall(verb);
        else
            fail(line);
        report(result);
        keepInodes();
        removeUnused();
        return result;
    }

    bool has(char kind, int which) const
    {
        return kind == 'm' ? bool(memories[which]) : bool(semaphores[which]);
    }
    const QSharedMemory *memory(int which) const { return memories[which].get(); }

private:
    int memoryCall(const QByteArray &verb)
    {
        std::unique_ptr<QSharedMemory> &memory = memories[slot];
        if (verb == "new") {
            const QByteArray key = words.value(2);
            if (key == "none")
                memory.reset(new QSharedMemory);
#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
            else if (keys::isNative(key))
                memory.reset(new QSharedMemory(keys::native<QSharedMemory>(key)));
#endif
            else
                memory.reset(new QSharedMemory(keys::byName(key)));
            return -1;
        }
        if (!memory)
            fail("no such object");
        if (verb == "delete")
            memory.reset();
#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
        else if (verb == "setKey" && keys::isNative(words.value(2)))
            memory->setNativeKey(keys::native<QSharedMemory>(words.value(2)));
#endif
        else if (verb == "setKey")
            memory->setKey(keys::byName(words.value(2)));
        else if (verb == "setNativeKey")
            memory->setNativeKey(nativeKey(words.value(2)));
        else if (verb == "create")
            return memory->create(size(words.value(2)), mode(words.value(3)));
        else if (verb == "attach")
            return memory->attach(mode(words.value(2)));
        else if (verb == "detach")
            return memory->detach();
        else if (verb == "lock")
            return memory->lock();
        else if (verb == "unlock")
            return memory->unlock();
        else if (verb == "write")
            return write(memory.get(), char(words.value(2).toInt()));
        else
            fail(verb);
        return -1;
    }

    int semaphoreCall(const QByteArray &verb)
    {
        std::unique_ptr<QSystemSemaphore> &semaphore = semaphores[slot];
        const QString key = keys::byName(words.value(2));
        const int initial = words.value(3).toInt();
        const QSystemSemaphore::AccessMode mode = words.value(4) == "create"
                ? QSystemSemaphore::Create
                : QSystemSemaphore::Open;
#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
        if (keys::isNative(words.value(2)) && (verb == "new" || verb == "setKey")) {
            const QNativeIpcKey native = keys::native<QSystemSemaphore>(words.value(2));
            if (verb == "new")
                semaphore.reset(new QSystemSemaphore(native, initial, mode));
            else
                semaphore->setNativeKey(native, initial, mode);
            return -1;
        }
#endif
        if (verb == "new")
            semaphore.reset(new QSystemSemaphore(key, initial, mode));
        else if (!semaphore)
            fail("no such object");
        else if (verb == "delete")
            semaphore.reset();
        else if (verb == "setKey")
            semaphore->setKey(key, initial, mode);
        else if (verb == "acquire")
            return semaphore->acquire();
        else if (verb == "release")
            return semaphore->release(words.value(2).toInt());
        else
            fail(verb);
        return -1;
    }

    static int write(QSharedMemory *memory, char value)
    {
        char *data = static_cast<char *>(memory->data());
        if (!data)
            return 0;
        data[0] = value;
        data[memory->size() - 1] = char(value + 1);
        return 1;
    }

    static QSharedMemory::AccessMode mode(const QByteArray &word)
    {
        return word == "ro" ? QSharedMemory::ReadOnly : QSharedMemory::ReadWrite;
    }

#if QT_VERSION >= QT_VERSION_CHECK(6, 0, 0)
    static qsizetype size(const QByteArray &word)
    {
        return qsizetype(word.toLongLong());
    }
#else
    static int size(const QByteArray &word)
    {
        return int(word.toLongLong());
    }
#endif

    // "of:KEY" is the native key that Qt makes of a key.
    static QString nativeKey(const QByteArray &word)
    {
        if (word == "null")
            return QString();
        if (word == "empty")
            return QString::fromLatin1("");
        if (word.startsWith("of:"))
            return QSharedMemory(keys::byName(word.mid(3))).nativeKey();
        if (word.startsWith("temp:"))
            return QDir::tempPath() + QLatin1Char('/') + QString::fromUtf8(word.mid(5));
        return QString::fromUtf8(word);
    }

    void report(int result)
    {
        if (result >= 0)
            std::printf(" %d", result);
        diagnosis.clear();
        const char kind = words.value(0) == "system" ? ' ' : words.value(1).at(0);
        if (kind == 'm' && memories[slot])
            reportMemory(*memories[slot]);
        else if (kind == 's' && semaphores[slot])
            reportSemaphore(*semaphores[slot]);
        for (const QByteArray &warning : warnings())
            std::printf(" | warning: %s", warning.constData());
        reportSegments();
        std::printf("\n");
        if (!diagnosis.isEmpty())
            std::printf("# diagnosis: %s\n", diagnosis.constData());
        std::fflush(stdout);
    }

    void reportMemory(const QSharedMemory &memory)
    {
        std::printf(" | %d %s", int(memory.error()), error(memory.errorString()).constData());
        std::printf(" | %s", memory.isAttached() ? "attached" : "-");
        std::printf(" %lld", static_cast<long long>(memory.size()));
        if (const auto *data = static_cast<const unsigned char *>(memory.constData()))
            std::printf(" [%d %d]", data[0], data[memory.size() - 1]);
        std::printf(" | %s %s", quoted(memory.key()).constData(),
                    quoted(memory.nativeKey()).constData());
    }

    void reportSemaphore(const QSystemSemaphore &semaphore)
    {
        std::printf(" | %d %s | %s", int(semaphore.error()),
                    error(semaphore.errorString()).constData(),
                    quoted(semaphore.key()).constData());
    }

    // Qt's own text. What the drop-in adds, in parentheses at the end, goes to
    // a line of its own. One text of Qt ends with a parenthesis, from 6.6 on.
    QByteArray error(const QString &text)
    {
        if (!text.endsWith(QLatin1Char(')')))
            return quoted(text);
        auto start = text.size();
        int depth = 0;
        do {
            --start;
            depth += text.at(start) == QLatin1Char(')') ? 1 : 0;
            depth -= text.at(start) == QLatin1Char('(') ? 1 : 0;
        } while (depth > 0 && start > 1);
#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
        if (text.left(start - 1).endsWith(QLatin1String("unable to set key on lock")))
            return quoted(text);
#endif
        diagnosis = quoted(text.mid(start));
        return quoted(text.left(start - 1));
    }

    // Size, mode and number of attachments of each, smallest first.
    static void reportSegments()
    {
        QList<QByteArray> found;
        if (FILE *file = std::fopen("/proc/sysvipc/shm", "r")) {
            char row[512];
            for (bool title = true; std::fgets(row, sizeof row, file); title = false) {
                const QList<QByteArray> columns = QByteArray(row).simplified().split(' ');
                if (!title)
                    found += columns.value(3) + '/' + columns.value(2) + '/' + columns.value(6);
            }
            std::fclose(file);
        }
        std::sort(found.begin(), found.end());
        std::printf(" |");
        for (const QByteArray &segment : found)
            std::printf(" %s", segment.constData());
    }

    // The System V key of an object is made of the last 16 bits of its key
    // file's inode number. Qt sometimes unlinks the key file of a semaphore that
    // lives on; were the number used again, two locks would be one, in some runs:
    // so every file is kept open. Two numbers that end alike are chance.
    static void keepInodes()
    {
        keepInodes(QDir(QDir::tempPath()));
        keepInodes(QDir(QString::fromUtf8(qgetenv("XDG_RUNTIME_DIR"))));
    }

    static void keepInodes(const QDir &temp)
    {
        static QHash<ushort, ino_t> known;
        for (const QString &name : temp.entryList(QDir::Files | QDir::System | QDir::Hidden)) {
            struct stat status;
            const QByteArray path = temp.filePath(name).toUtf8();
            if (lstat(path.constData(), &status) != 0)
                continue;
            const ushort end = ushort(status.st_ino);
            if (!known.contains(end)) {
                known[end] = status.st_ino;
                open(path.constData(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
            } else if (known[end] != status.st_ino) {
                std::printf("# two keys are alike\n");
            }
        }
    }

    // Qt never removes a POSIX segment, the drop-in does so with the last user:
    // for the comparison each is removed when no object is attached.
    void removeUnused() const
    {
#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
        static QSet<QByteArray> known;
        QSet<QByteArray> used;
        for (const std::unique_ptr<QSharedMemory> &memory : memories) {
            if (!memory || memory->nativeIpcKey().type() != QNativeIpcKey::Type::PosixRealtime)
                continue;
            const QByteArray name = QFile::encodeName(memory->nativeKey()).constData();
            known += name;
            if (memory->isAttached())
                used += name;
        }
        for (const QByteArray &name : known)
            if (!used.contains(name))
                shm_unlink(name.constData());
#endif
    }

    // In one line, and without the temp directory's name.
    static QByteArray quoted(const QString &text)
    {
        if (text.isNull())
            return "null";
        QString shown = text;
        const QString temp = QDir::tempPath();
        if (temp.size() > 1)
            shown.replace(temp, QLatin1String("TEMP"));
        if (shown.size() > 320)
            shown = shown.left(100) + QLatin1String("...") + shown.right(60);
        QByteArray line;
        for (const char c : shown.toUtf8()) {
            if (static_cast<unsigned char>(c) < ' ')
                line += "\\x" + QByteArray::number(int(c), 16);
            else
                line += c;
        }
        return '"' + line + '"';
    }

    // Qt's own warnings; what the drop-in logs in a category of its own is
    // no part of the comparison.
    static void collect(QtMsgType, const QMessageLogContext &context, const QString &text)
    {
        if (!context.category || qstrcmp(context.category, "default") == 0)
            warnings() += text.toUtf8();
    }

    static QList<QByteArray> &warnings()
    {
        static QList<QByteArray> list;
        return list;
    }

    [[noreturn]] static void fail(const QByteArray &what)
    {
        std::fprintf(stderr, "not a call: %s\n", what.constData());
        std::exit(2);
    }

    std::unique_ptr<QSharedMemory> memories[Memories];
    std::unique_ptr<QSystemSemaphore> semaphores[Semaphores];
    QList<QByteArray> words;
    QByteArray diagnosis;
    int slot = 0;
};

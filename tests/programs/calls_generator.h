// Chooses the next call of a random sequence. It follows how the locks and
// semaphores stand, in order to leave out, each by its name, what blocks and
// what makes Qt itself lose a lock.

#pragma once

#include "calls_actor.h"

#include <QMap>
#include <QSet>

class Generator
{
public:
    // `kind`: "", or what keys of Qt 6.6 and later begin with, "posix:" or "systemv:".
    Generator(quint64 seed, const QByteArray &kind) : kind(kind), state(mixed(seed)) { }

    QByteArray next(const Actor &actor)
    {
        for (int slot = 0; slot < Actor::Memories; ++slot)
            memories[slot].attached = actor.has('m', slot) && actor.memory(slot)->isAttached();
        for (;;) {
            const QByteArray call = below(5) == 0 ? semaphoreCall(actor) : memoryCall(actor);
            const char *rule = leftOut(call);
            if (!rule)
                return call;
            ++rules[rule];
        }
    }

    // Follows what a call did.
    void made(const QByteArray &call, int result)
    {
        const QList<QByteArray> words = call.split(' ');
        const int slot = words.at(1).mid(1).toInt();
        if (words.at(1).startsWith('m'))
            madeMemoryCall(memories[slot], words, result);
        else
            madeSemaphoreCall(slot, words, result);
    }

    // What ends a sequence in order: every lock given back, every object deleted.
    QList<QByteArray> lastCalls(const Actor &actor) const
    {
        QList<QByteArray> calls;
        for (int slot = 0; slot < Actor::Memories; ++slot)
            if (memories[slot].locked)
                calls += "unlock m" + QByteArray::number(slot);
        for (int slot = 0; slot < Actor::Memories; ++slot)
            if (actor.has('m', slot))
                calls += "delete m" + QByteArray::number(slot);
        for (int slot = 0; slot < Actor::Semaphores; ++slot)
            if (actor.has('s', slot))
                calls += "delete s" + QByteArray::number(slot);
        return calls;
    }

    void sayWhatWasLeftOut() const
    {
        for (auto rule = rules.begin(); rule != rules.end(); ++rule)
            std::printf("# left out: %s %d\n", rule.key().constData(), rule.value());
    }

private:
    // As far as it matters for who has which lock.
    struct Memory
    {
        QByteArray key;     // what setKey was given
        QByteArray lockKey; // of the semaphore: the key at the last create or attach
        bool attached = false;
        bool locked = false;
        bool stale = false; // the last create failed: Qt 6.8 remembers the segment
    };
    struct Semaphore
    {
        QByteArray key;
    };
    struct Count
    {
        int value = 0;
        QSet<int> creators; // the objects that remove it when they go
    };

    QByteArray memoryCall(const Actor &actor)
    {
        const int slot = below(Actor::Memories);
        const QByteArray who = " m" + QByteArray::number(slot);
        if (!actor.has('m', slot))
            return "new" + who + ' ' + (below(4) == 0 ? QByteArray("none") : memoryKey());
        switch (below(24)) {
        case 0: return "delete" + who;
        case 1:
        case 2: return "setKey" + who + ' ' + memoryKey();
        case 3: return "setNativeKey" + who + ' ' + nativeKey();
        case 4:
        case 5:
        case 6:
        case 7:
        case 8: return "create" + who + ' ' + size() + mode();
        case 9:
        case 10:
        case 11:
        case 12: return "attach" + who + mode();
        case 13:
        case 14: return "detach" + who;
        case 15:
        case 16:
        case 17: return "lock" + who;
        case 18:
        case 19:
        case 20: return "unlock" + who;
        default: return "write" + who + ' ' + QByteArray::number(below(100));
        }
    }

    QByteArray semaphoreCall(const Actor &actor)
    {
        const int slot = below(Actor::Semaphores);
        const QByteArray who = " s" + QByteArray::number(slot);
        const QByteArray rest = who + ' ' + semaphoreKey() + ' ' + QByteArray::number(below(4))
                + (below(3) == 0 ? " create" : " open");
        if (!actor.has('s', slot))
            return "new" + rest;
        switch (below(8)) {
        case 0: return "delete" + who;
        case 1: return "setKey" + rest;
        case 2:
        case 3:
        case 4: return "acquire" + who;
        default: return "release" + who + ' ' + number();
        }
    }

    // ------------------------------------------------------- what is left out

    const char *leftOut(const QByteArray &call) const
    {
        const QList<QByteArray> words = call.split(' ');
        const int slot = words.at(1).mid(1).toInt();
        return words.at(1).startsWith('m') ? memoryRule(words, slot) : semaphoreRule(words, slot);
    }

    const char *memoryRule(const QList<QByteArray> &words, int slot) const
    {
        const QByteArray &verb = words.at(0);
        const Memory &memory = memories[slot];
        const bool opens = verb == "create" || (verb == "attach" && !memory.attached);
        const bool leaves = verb == "delete" || verb == "setKey" || verb == "setNativeKey";
        // Writing through a read-only attachment is a SIGSEGV in both.
        if (verb == "write" && (readOnly[slot] || !memory.attached))
            return "write-not-possible: nothing is attached, or only for reading";
        if (verb == "create" && memory.attached && (words.at(2).toInt() <= 0 || !works(memory.key)))
            return "leaks: Qt forgets the key of what it is attached to, and never removes it";
        if (Since66 && memory.stale && opens && !usedByOther(memory.key, slot))
            return "remembers: Qt goes on using the segment that create found, though it is gone";
        if (verb == "create" && kind == "systemv:"
            && (memory.attached || usedByOther(memory.key, slot)))
            return "create-in-use: Qt unlinks the key file, and makes another segment";
        if ((leaves || verb == "detach") && kind == "systemv:"
            && (usedByOther(memory.lockKey, slot) || usedByOther(memory.key, slot)))
            return "creator-leaves: Qt unlinks the key file of a segment in use";
        if (memory.locked && opens)
            return "open-while-locked: Qt's create and attach give the object's lock back";
        if (memory.locked && leaves && !memory.attached)
            return "leave-while-locked: Qt forgets the semaphore, and the lock stays taken";
        if (memory.locked && leaves)
            return nullptr;
        if (opens && heldByOther(memory.key, slot))
            return verb == "create" ? "create-while-held: Qt's create sets the other's lock free"
                                    : "blocks: another object holds the lock";
        if (opens && heldByOther(memory.lockKey, slot))
            return "creator-leaves: Qt removes the semaphore that another object has locked";
        const bool locks = verb == "lock" || (memory.attached && (verb == "detach" || leaves));
        if (locks && !memory.locked && heldByOther(memory.lockKey, slot))
            return "blocks: another object holds the lock";
        if (verb == "delete" && heldByOther(memory.lockKey, slot))
            return "creator-leaves: Qt removes the semaphore that another object has locked";
        return nullptr;
    }

    bool usedByOther(const QByteArray &key, int slot) const
    {
        for (int other = 0; other < Actor::Memories; ++other)
            if (other != slot && memories[other].attached && memories[other].key == key)
                return true;
        return false;
    }

    bool heldByOther(const QByteArray &key, int slot) const
    {
        for (int other = 0; other < Actor::Memories; ++other)
            if (other != slot && memories[other].locked && memories[other].lockKey == key)
                return true;
        return false;
    }

    const char *semaphoreRule(const QList<QByteArray> &words, int slot) const
    {
        const QByteArray &verb = words.at(0);
        const QByteArray &key = semaphores[slot].key;
        if (verb == "acquire" && works(key) && counts.value(key).value <= 0)
            return "blocks: the count is 0";
        if ((verb == "new" || verb == "setKey") && kind == "posix:" && words.at(4) == "create"
            && works(words.at(2)) && sharedByOther(words.at(2), slot))
            return "create-in-use: Qt makes another semaphore, and there are two";
        const bool stays = verb == "setKey" && words.at(2) == key;
        if ((verb == "delete" || (verb == "setKey" && !stays)) && sharedByOther(key, slot)
            && counts.value(key).creators.contains(slot))
            return "creator-leaves: Qt removes the semaphore that another object uses";
        return nullptr;
    }

    bool sharedByOther(const QByteArray &key, int slot) const
    {
        for (int other = 0; other < Actor::Semaphores; ++other)
            if (other != slot && semaphores[other].key == key)
                return true;
        return false;
    }

    // Whether a semaphore can exist under this key.
    static bool works(const QByteArray &key)
    {
        const QByteArray name = keys::isNative(key) ? key.mid(key.indexOf(':') + 1) : key;
        return !name.isEmpty() && name != "null" && name != "empty" && name != "toolong"
                && !(keys::isNative(key) && name == "slashes") && name != "native temp:no/such";
    }

    // What is locked by a native key: nothing before Qt 6.6.
    static QByteArray nativeName(const QByteArray &word)
    {
        if (!Since66 || word == "null" || word == "empty")
            return QByteArray();
        return "native " + word;
    }

    // -------------------------------------------------------- what calls do

    void madeMemoryCall(Memory &memory, const QList<QByteArray> &words, int result)
    {
        const QByteArray &verb = words.at(0);
        if (verb == "new") {
            memory = Memory();
            memory.key = words.at(2);
        } else if (verb == "delete") {
            memory = Memory();
        } else if (verb == "setKey" || verb == "setNativeKey") {
            const QByteArray key = verb == "setKey" ? words.at(2) : nativeName(words.at(2));
            if (key != memory.key || verb == "setNativeKey" || Since66) {
                if (memory.attached)
                    memory.locked = false;
                memory.attached = false;
            }
            memory.key = key;
            memory.stale = false;
        } else if (verb == "create" || (verb == "attach" && !memory.attached)) {
            memory.stale = verb == "create" && result == 0;
            memory.lockKey = memory.key;
            memory.attached = memory.attached || result == 1;
            if (result == 1)
                readOnly[&memory - memories] = words.constLast() == "ro";
        } else if (verb == "detach" && result == 1) {
            memory.attached = false;
            memory.locked = false;
        } else if (verb == "lock" || verb == "unlock") {
            if (result == 1)
                memory.locked = verb == "lock";
        }
    }

    void madeSemaphoreCall(int slot, const QList<QByteArray> &words, int result)
    {
        const QByteArray &verb = words.at(0);
        Semaphore &semaphore = semaphores[slot];
        if (verb == "delete" || verb == "new" || verb == "setKey") {
            const QByteArray key = verb == "delete" ? QByteArray() : words.at(2);
            const bool create = words.value(4) == "create";
            if (key == semaphore.key && verb == "setKey" && !create)
                return;
            if (key != semaphore.key && counts.value(semaphore.key).creators.contains(slot))
                counts.remove(semaphore.key);
            semaphore.key = key;
            if (!works(key))
                return;
            if (create || !counts.contains(key)) {
                counts[key].value = words.at(3).toInt();
                counts[key].creators.insert(slot);
            }
        } else if (verb == "acquire" && result == 1) {
            counts[semaphore.key].value -= 1;
        } else if (verb == "release" && result == 1) {
            counts[semaphore.key].value += qMax(0, words.at(2).toInt());
        }
    }

    // ------------------------------------------------------------- arguments

    QByteArray memoryKey()
    {
        static const char *const usual[] = { "one", "two", "one", "letters180", "kanji" };
        return kind + (below(4) ? QByteArray(usual[below(5)]) : anyKey());
    }
    // A QSystemSemaphore on the key of a segment would be that segment's lock.
    QByteArray semaphoreKey()
    {
        static const char *const keys[] = { "sem-a", "sem-a", "sem-b",  "sem\xc3\xa9",
                                            "null",  "empty", "toolong" };
        return kind + keys[below(7)];
    }
    QByteArray anyKey()
    {
        for (;;) {
            const QByteArray key = keys::all().at(below(int(keys::all().size()))).name;
            // Qt 6.8 goes on saying so of keys that are not, by an errno that is not of its call.
            const bool tooLong = key == "letters196" || key == "letters200" || key == "toolong";
            if (!Since66 || !tooLong)
                return key;
        }
    }
    QByteArray nativeKey()
    {
        static const char *const keys[] = { "null", "empty", "temp:native", "temp:no/such",
                                            "native" };
        const int which = below(Since66 ? 3 : 7);
        // From 6.6 on one file leads to the segment and to its lock, and Qt unlinks it with either:
        // what others then get depends on inode numbers.
        if (Since66)
            return keys[which == 2 ? 3 : which];
        if (which < 5)
            return keys[which];
        const QByteArray key = memoryKey();
        return keys::isNative(key) ? "of:" + key.mid(key.indexOf(':') + 1) : "of:" + key;
    }
    QByteArray size()
    {
        static const char *const sizes[] = {
            "0",     "-1", "1",    "2",  "8",       "100",        "4096",      "4097",
            "65536", "1",  "1000", "64", "1048576", "1073741824", "2147483647"
        };
        return sizes[below(15)];
    }
    QByteArray number()
    {
        static const char *const numbers[] = { "1", "1", "1", "2", "0", "-1", "5", "32767" };
        return numbers[below(8)];
    }
    QByteArray mode() { return below(4) ? " rw" : " ro"; }

    int below(int bound)
    {
        // splitmix64: the same numbers everywhere.
        state += 0x9e3779b97f4a7c15u;
        return int(mixed(state) % quint64(bound));
    }

    static quint64 mixed(quint64 z)
    {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }

    static constexpr bool Since66 = QT_VERSION >= QT_VERSION_CHECK(6, 6, 0);
    QByteArray kind;
    quint64 state;
    Memory memories[Actor::Memories];
    bool readOnly[Actor::Memories] = {};
    Semaphore semaphores[Actor::Semaphores];
    QMap<QByteArray, Count> counts;
    QMap<QByteArray, int> rules;
};

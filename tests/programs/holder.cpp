// Does what it is told, line by line on standard input, with one shared memory
// and one semaphore, and answers each line with one line: "ok", a value, or
// "error CODE TEXT".
//
//   key KEY                 setKey(), and the native key; "posix:KEY" and "systemv:KEY" from
//                           Qt 6.6 on
//   native-key              nativeKey()
//   create SIZE [ro] / attach [ro] / detach / lock / unlock
//   number                  the four bytes at the start, then adds one
//   get / put N             the four bytes at the start
//   fill N / filled N       writes, or looks for, a pattern from start to end
//   size / attached / error
//   new                     deletes the object and makes another
//   guarded N               std::lock_guard around putting N
//   sem KEY VALUE open|create / acquire / release [N]
//   acquire-aside           acquire() in a thread, which says "acquired" later
//
// Ends cleanly when standard input ends, "quit" likewise, "exit" without
// destructors.

// So that it also runs on an older Qt than it is built with.
#define QT_NO_VERSION_TAGGING

#include "key_kind.h"

#include <QSharedMemory>
#include <QString>
#include <QSystemSemaphore>

#include <cstdio>
#include <iostream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

#include <unistd.h>

namespace {

// QString::toStdString() needs a member that Qt 6.0 does not have.
std::string utf8(const QString &text)
{
    return text.toUtf8().constData();
}

class Holder
{
public:
    ~Holder()
    {
        if (aside.joinable())
            aside.join();
    }

    std::string answer(const std::string &line)
    {
        std::istringstream words(line);
        std::string command;
        words >> command;
        if (command == "sem" || command == "acquire" || command == "acquire-aside"
            || command == "release")
            return answerSemaphore(command, words);
        if (command == "key")
            return setKey(words);
        if (command == "native-key")
            return utf8(memory->nativeKey());
        if (command == "create") {
            int size = 0;
            words >> size;
            return told(memory->create(size, mode(words)));
        }
        if (command == "attach")
            return told(memory->attach(mode(words)));
        if (command == "detach")
            return told(memory->detach());
        if (command == "lock")
            return told(memory->lock());
        if (command == "unlock")
            return told(memory->unlock());
        return answerContent(command, words);
    }

private:
    std::string answerContent(const std::string &command, std::istringstream &words)
    {
        if (command == "size")
            return std::to_string(memory->size());
        if (command == "attached")
            return memory->isAttached() ? "yes" : "no";
        if (command == "error")
            return told(memory->error() == QSharedMemory::NoError);
        if (command == "new") {
            memory = std::make_unique<QSharedMemory>();
            return "ok";
        }
        int value = 0;
        words >> value;
        if (command == "get" && memory->isAttached())
            return std::to_string(*static_cast<const int *>(memory->constData()));
        auto *content = static_cast<int *>(memory->data());
        if (!content)
            return "not attached";
        if (command == "fill" || command == "filled")
            return pattern(command == "fill", value);
        if (command == "number")
            return std::to_string((*content)++);
        if (command == "put") {
            *content = value;
            return "ok";
        }
        if (command == "guarded") {
            const std::lock_guard<QSharedMemory> guard(*memory);
            *content = value;
            return "ok";
        }
        return "what?";
    }

    std::string pattern(bool write, int start)
    {
        auto *bytes = static_cast<unsigned char *>(memory->data());
        for (decltype(memory->size()) i = 0; i < memory->size(); ++i) {
            const auto wanted = static_cast<unsigned char>(i * 7 + start);
            if (write)
                bytes[i] = wanted;
            else if (bytes[i] != wanted)
                return "differs at " + std::to_string(i);
        }
        return "ok";
    }

    std::string answerSemaphore(const std::string &command, std::istringstream &words)
    {
        if (command == "sem") {
            std::string key, mode;
            int value = 0;
            words >> key >> value >> mode;
            semaphore = key_kind::semaphore(QString::fromStdString(key), value,
                                            mode == "create" ? QSystemSemaphore::Create
                                                             : QSystemSemaphore::Open);
            return toldSemaphore(semaphore->error() == QSystemSemaphore::NoError);
        }
        if (!semaphore)
            return "no semaphore";
        if (command == "acquire")
            return toldSemaphore(semaphore->acquire());
        if (command == "release") {
            int n = 1;
            words >> n;
            return toldSemaphore(semaphore->release(n));
        }
        if (aside.joinable())
            aside.join();
        aside = std::thread([this] {
            const std::string result = toldSemaphore(semaphore->acquire());
            say(result == "ok" ? "acquired" : result);
        });
        return "ok";
    }

    std::string setKey(std::istringstream &words)
    {
        std::string key;
        words >> key;
        key_kind::setKey(*memory, QString::fromStdString(key));
        return utf8(memory->nativeKey());
    }

    static QSharedMemory::AccessMode mode(std::istringstream &words)
    {
        std::string word;
        words >> word;
        return word == "ro" ? QSharedMemory::ReadOnly : QSharedMemory::ReadWrite;
    }

    std::string told(bool ok) const
    {
        if (ok)
            return "ok";
        return "error " + std::to_string(int(memory->error())) + ' ' + utf8(memory->errorString());
    }

    std::string toldSemaphore(bool ok) const
    {
        if (ok)
            return "ok";
        return "error " + std::to_string(int(semaphore->error())) + ' '
                + utf8(semaphore->errorString());
    }

public:
    static void say(const std::string &text)
    {
        static std::mutex one;
        const std::lock_guard<std::mutex> guard(one);
        std::puts(text.c_str());
        std::fflush(stdout);
    }

private:
    std::unique_ptr<QSharedMemory> memory = std::make_unique<QSharedMemory>();
    std::unique_ptr<QSystemSemaphore> semaphore;
    std::thread aside;
};

} // namespace

int main()
{
    Holder holder;
    for (std::string line; std::getline(std::cin, line) && line != "quit";) {
        if (line == "exit")
            ::_exit(0);
        Holder::say(holder.answer(line));
    }
    return 0;
}

// One start and one end of an application that counts its instances in four
// shared bytes, as small as can be, so that a test may interrupt it at every
// system call.
//
//   start_stop KEY once     start, and end cleanly
//   start_stop KEY hold     start, end cleanly when standard input ends
//   start_stop KEY crash    start, and abort
//   start_stop KEY inside   start, and be killed between lock() and unlock()
//   start_stop KEY signal   a semaphore instead: open, acquire and release it
//
// Prints "number N", then "ended"; or "failed: ..." with status 2.

// So that it also runs on an older Qt than it is built with.
#define QT_NO_VERSION_TAGGING

#include "key_kind.h"

#include <QSharedMemory>
#include <QSystemSemaphore>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

static void say(const char *text)
{
    std::printf("%s\n", text);
    std::fflush(stdout);
}

template <typename Class>
static int fail(const char *what, const Class &object)
{
    std::printf("failed: %s: error %d: %s\n", what, int(object.error()),
                qPrintable(object.errorString()));
    std::fflush(stdout);
    return 2;
}

static void waitForEndOfInput()
{
    char byte;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
}

static int useSemaphore(const QString &key)
{
    const auto semaphore = key_kind::semaphore(key, 1, QSystemSemaphore::Open);
    if (semaphore->error() != QSystemSemaphore::NoError)
        return fail("open", *semaphore);
    if (!semaphore->acquire())
        return fail("acquire", *semaphore);
    say("number 0");
    if (!semaphore->release())
        return fail("release", *semaphore);
    say("ended");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 64;
    const char *mode = argv[2];
    if (!std::strcmp(mode, "signal"))
        return useSemaphore(QString::fromLocal8Bit(argv[1]));

    QSharedMemory memory;
    key_kind::setKey(memory, QString::fromLocal8Bit(argv[1]));
    if (!memory.create(int(sizeof(int)))) {
        if (memory.error() != QSharedMemory::AlreadyExists)
            return fail("create", memory);
        if (!memory.attach())
            return fail("attach", memory);
    }

    auto *count = static_cast<int *>(memory.data());
    if (!memory.lock())
        return fail("lock", memory);
    const int number = (*count)++;
    if (!std::strcmp(mode, "inside"))
        ::kill(::getpid(), SIGKILL);
    if (!memory.unlock())
        return fail("unlock", memory);

    std::printf("number %d\n", number);
    std::fflush(stdout);
    if (!std::strcmp(mode, "crash"))
        std::abort();
    if (!std::strcmp(mode, "hold"))
        waitForEndOfInput();

    if (!memory.lock())
        return fail("lock at the end", memory);
    --*count;
    if (!memory.unlock())
        return fail("unlock at the end", memory);
    if (!memory.detach())
        return fail("detach", memory);
    say("ended");
    return 0;
}

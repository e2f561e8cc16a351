// The class that many projects have copied to run once only: a semaphore with
// a key of its own around "attach, and detach again", then create(). Objects
// exist before any QCoreApplication does.
//
//   run_guard KEY                 prints "first" or "another one is running";
//                                 the first ends when standard input ends
//   run_guard KEY kill            prints, and is killed
//   run_guard KEY kill-inside     is killed while it holds the semaphore
//   run_guard KEY block [wrong]   a block with a checksum instead, as other
//                                 libraries of this kind do: "primary" or
//                                 "secondary"; wrong leaves a bad checksum

#include <QCoreApplication>
#include <QCryptographicHash>
#include <QSharedMemory>
#include <QString>
#include <QSystemSemaphore>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace {

QString hashed(const QString &key, const char *salt)
{
    const QByteArray data = (key + QLatin1String(salt)).toUtf8();
    return QString::fromLatin1(QCryptographicHash::hash(data, QCryptographicHash::Sha1).toHex());
}

class OnlyOne
{
public:
    explicit OnlyOne(const QString &key)
        : gate(hashed(key, "gate"), 1), memory(hashed(key, "memory"))
    {
        gate.acquire();
        {
            // On Unix: what a crash left goes when the last one detaches.
            QSharedMemory leftover(hashed(key, "memory"));
            leftover.attach();
        }
        gate.release();
    }

    bool isAnotherRunning()
    {
        if (memory.isAttached())
            return false;
        gate.acquire();
        const bool running = memory.attach();
        if (running)
            memory.detach();
        gate.release();
        return running;
    }

    bool tryToRun(bool killInside)
    {
        if (isAnotherRunning())
            return false;
        gate.acquire();
        const bool made = memory.create(int(sizeof(quint64)));
        if (killInside)
            ::kill(::getpid(), SIGKILL);
        gate.release();
        return made;
    }

private:
    QSystemSemaphore gate;
    QSharedMemory memory;
};

struct Block
{
    bool primary;
    quint32 instances;
    qint64 primaryPid;
    quint16 checksum;
};

quint16 checksum(const Block &block)
{
    const auto *bytes = reinterpret_cast<const unsigned char *>(&block.instances);
    quint16 sum = 17;
    for (size_t i = 0; i < sizeof block.instances; ++i)
        sum = quint16(sum * 31 + bytes[i]);
    return sum;
}

void say(const char *text)
{
    std::puts(text);
    std::fflush(stdout);
}

void waitForEndOfInput()
{
    char byte;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
}

int runBlock(const QString &key, bool wrong)
{
    // Attach and delete first, to clear what a crash left.
    auto *leftover = new QSharedMemory(hashed(key, "block"));
    leftover->attach();
    delete leftover;

    QSharedMemory memory;
    memory.setKey(hashed(key, "block"));
    const bool made = memory.create(int(sizeof(Block)));
    if (!made && !memory.attach()) {
        std::printf("failed: error %d: %s\n", int(memory.error()),
                    qPrintable(memory.errorString()));
        return 2;
    }
    auto *block = static_cast<Block *>(memory.data());
    if (!memory.lock())
        return 3;
    if (made) {
        std::memset(static_cast<void *>(block), 0, sizeof *block);
    } else if (block->checksum != checksum(*block)) {
        say("bad checksum");
        return 4;
    }
    say(block->primary ? "secondary" : "primary");
    const bool mine = !block->primary;
    if (mine)
        block->primaryPid = qint64(::getpid());
    block->primary = true;
    ++block->instances;
    block->checksum = wrong ? quint16(~checksum(*block)) : checksum(*block);
    memory.unlock();

    waitForEndOfInput();

    memory.lock();
    --block->instances;
    if (mine)
        block->primary = false;
    block->checksum = checksum(*block);
    memory.unlock();
    return 0;
}

} // namespace

int main(int argc, char **argv)
{
    const QString key = QString::fromLocal8Bit(argc > 1 ? argv[1] : "run guard");
    const QString mode = QString::fromLocal8Bit(argc > 2 ? argv[2] : "");
    if (mode == QLatin1String("block"))
        return runBlock(key, argc > 3);

    OnlyOne guard(key);
    if (!guard.tryToRun(mode == QLatin1String("kill-inside"))) {
        say("another one is running");
        return 0;
    }
    QCoreApplication application(argc, argv);
    say("first");
    if (mode == QLatin1String("kill"))
        ::kill(::getpid(), SIGKILL);
    waitForEndOfInput();
    return 0;
}

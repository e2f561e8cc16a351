// What the calls cost, with whichever QSharedMemory this is linked with: medians in nanoseconds.
//
// usage: ipc_bench [rounds] [posix]
//
// "posix": with POSIX keys, which there are from Qt 6.6 on.

#include <QCoreApplication>
#include <QSharedMemory>
#include <QSystemSemaphore>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <sys/mman.h>

namespace {

// The median time of one call of `act`, which is timed in groups of `group`: a look at the clock
// costs about as much as the cheap ones.
template <typename Act>
void measure(const char *name, int rounds, int group, Act act)
{
    using Clock = std::chrono::steady_clock;
    std::vector<double> times;
    times.reserve(std::size_t(rounds));
    for (int round = 0; round < rounds; ++round) {
        const auto begin = Clock::now();
        for (int i = 0; i < group; ++i)
            act();
        const std::chrono::duration<double, std::nano> time = Clock::now() - begin;
        times.push_back(time.count() / group);
    }
    const auto middle = times.begin() + std::ptrdiff_t(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    std::printf("%-18s %10.1f ns\n", name, *middle);
    std::fflush(stdout);
}

void demand(bool good, const QSharedMemory &memory)
{
    if (good)
        return;
    std::fprintf(stderr, "%s\n", qPrintable(memory.errorString()));
    std::exit(1);
}

// Keys of the two kinds: System V, by what setKey() takes, and POSIX.
struct SystemV
{
    static QString segment(const QString &key) { return key; }
    static QString semaphore(const QString &key) { return key; }
    // Each segment is gone with its object.
    static int differentKeys(int) { return 1; }
    static void clear(const QString &) { }
};

#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
struct Posix
{
    static QNativeIpcKey segment(const QString &key) { return QSharedMemory::platformSafeKey(key); }
    static QNativeIpcKey semaphore(const QString &key)
    {
        return QSystemSemaphore::platformSafeKey(key);
    }
    // Qt leaves each behind, and would not make it again.
    static int differentKeys(int rounds) { return rounds; }
    static void clear(const QString &key)
    {
        shm_unlink(segment(key).nativeKey().toUtf8().constData());
    }
};
#endif

template <typename Kind>
void run(const QString &key, int rounds)
{
    std::vector<decltype(Kind::segment(key))> keys;
    for (int i = 0; i < Kind::differentKeys(rounds); ++i)
        keys.push_back(Kind::segment(key + QString::number(i)));
    measure("create + destroy", rounds, 1, [&keys, i = std::size_t(0)]() mutable {
        QSharedMemory memory(keys[i++ % keys.size()]);
        demand(memory.create(4), memory);
    });
    for (int i = 0; i < Kind::differentKeys(rounds); ++i)
        Kind::clear(key + QString::number(i));

    const auto own = Kind::segment(key);
    {
        QSharedMemory memory(own);
        demand(memory.create(4), memory);
        measure("attach + detach", rounds, 1, [&own] {
            QSharedMemory other(own);
            demand(other.attach(), other);
        });
        measure("lock + unlock", rounds, 10, [&memory] {
            demand(memory.lock(), memory);
            memory.unlock();
        });
        // Nothing but finding the object's state and reading from it.
        const void *volatile data = nullptr;
        measure("constData", rounds, 100, [&] { data = memory.constData(); });

        std::vector<QSharedMemory> many(1000);
        measure("constData of 1000", rounds, 1000,
                [&, i = std::size_t(0)]() mutable { data = many[i++ % many.size()].constData(); });
    }
    Kind::clear(key);

    QSystemSemaphore semaphore(Kind::semaphore(key + QLatin1String(" semaphore")), 1,
                               QSystemSemaphore::Create);
    measure("acquire + release", rounds, 10, [&semaphore] {
        semaphore.acquire();
        semaphore.release();
    });
}

} // namespace

int main(int argc, char **argv)
{
    const QCoreApplication application(argc, argv);
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 2000;
    const QString key = QStringLiteral("qshm bench %1 ").arg(QCoreApplication::applicationPid());
    const bool posix = argc > 2 && std::strcmp(argv[2], "posix") == 0;
    if (!posix) {
        run<SystemV>(key, rounds);
        return 0;
    }
#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
    run<Posix>(key, rounds);
    return 0;
#else
    std::fprintf(stderr, "there are no POSIX keys before Qt 6.6\n");
    return 1;
#endif
}

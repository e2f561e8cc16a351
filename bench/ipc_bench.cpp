// What the calls cost, with whichever QSharedMemory this is linked with: medians in nanoseconds.
//
// usage: ipc_bench [rounds]

#include <QCoreApplication>
#include <QSharedMemory>
#include <QSystemSemaphore>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

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

} // namespace

int main(int argc, char **argv)
{
    const QCoreApplication application(argc, argv);
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 2000;
    const QString key = QStringLiteral("qshm bench %1").arg(QCoreApplication::applicationPid());

    measure("create + destroy", rounds, 1, [&key] {
        QSharedMemory memory(key);
        demand(memory.create(4), memory);
    });

    QSharedMemory memory(key);
    demand(memory.create(4), memory);
    measure("attach + detach", rounds, 1, [&key] {
        QSharedMemory other(key);
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

    QSystemSemaphore semaphore(key + QLatin1String(" semaphore"), 1, QSystemSemaphore::Create);
    measure("acquire + release", rounds, 10, [&semaphore] {
        semaphore.acquire();
        semaphore.release();
    });
    return 0;
}

// What an instance number costs, beside what people use now: medians in microseconds.
//
// usage: instance_bench [rounds]

#include <qshm/instance.h>

#include <QCoreApplication>
#include <QDir>
#include <QLockFile>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <malloc.h>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <singleapplication/singleapplication.h>

namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

double median(std::vector<double> times)
{
    const auto middle = times.begin() + std::ptrdiff_t(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    return *middle;
}

void print(const char *name, double microseconds)
{
    std::printf("%-44s %9.1f us\n", name, microseconds);
    std::fflush(stdout);
}

template <typename Act>
double timeOf(Act act)
{
    const auto begin = Clock::now();
    act();
    return Microseconds(Clock::now() - begin).count();
}

template <typename Act>
void measure(const char *name, int rounds, Act act)
{
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round)
        times.push_back(timeOf(act));
    print(name, median(std::move(times)));
}

[[noreturn]] void fail(const std::string &why)
{
    std::fprintf(stderr, "%s\n", why.c_str());
    std::exit(1);
}

qshm::Instance join(const char *name, int number)
{
    qshm::Instance instance = qshm::Instance::join(name);
    if (instance.number() != number)
        fail("number " + std::to_string(instance.number()) + ": " + instance.reason());
    return instance;
}

// The time of joining alone; what ends it is not counted.
void measureJoin(const char *title, const char *name, int number, int rounds)
{
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round) {
        const auto begin = Clock::now();
        const qshm::Instance instance = join(name, number);
        times.push_back(Microseconds(Clock::now() - begin).count());
    }
    print(title, median(std::move(times)));
}

// A process that makes 1,000 instances and stays until it is told to end.
class Crowd
{
public:
    explicit Crowd(const char *name)
    {
        int up[2], down[2];
        if (pipe(up) != 0 || pipe(down) != 0)
            fail("no pipe");
        m_pid = fork();
        if (m_pid == 0) {
            close(down[1]);
            std::vector<qshm::Instance> all;
            const std::size_t before = mallinfo2().uordblks;
            for (int number = 0; number < 1000; ++number)
                all.push_back(join(name, number));
            std::printf("%-44s %9.0f bytes\n", "  memory of a handle, of 1,000",
                        double(mallinfo2().uordblks - before) / 1000);
            std::fflush(stdout);
            char byte = 0;
            if (write(up[1], &byte, 1) != 1 || read(down[0], &byte, 1) < 0)
                _exit(1);
            all.clear();
            _exit(0);
        }
        char byte = 0;
        if (read(up[0], &byte, 1) != 1)
            fail("no crowd");
        m_end = down[1];
    }

    ~Crowd()
    {
        close(m_end);
        waitpid(m_pid, nullptr, 0);
    }

private:
    pid_t m_pid = 0;
    int m_end = -1;
};

// A start of a process that does this and ends, less what a start costs that does nothing.
template <typename Act>
double inProcess(int rounds, Act act)
{
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round) {
        int pipes[2];
        if (pipe(pipes) != 0)
            fail("no pipe");
        const pid_t pid = fork();
        if (pid == 0) {
            const double time = act();
            _exit(write(pipes[1], &time, sizeof time) != ssize_t(sizeof time));
        }
        double time = 0;
        if (read(pipes[0], &time, sizeof time) != ssize_t(sizeof time))
            fail("a process failed");
        waitpid(pid, nullptr, 0);
        close(pipes[0]);
        close(pipes[1]);
        times.push_back(time);
    }
    return median(std::move(times));
}

} // namespace

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 2000;
    join("bench", 0);

    measureJoin("Instance: join, nobody else there", "bench", 0, rounds);
    measure("Instance: join and end", rounds, [] { join("bench", 0); });
    {
        qshm::Instance instance = join("bench", 0);
        measure("Instance: count of 1", rounds, [&] { instance.count(); });
        measure("Instance: claim and release", rounds, [&] {
            if (!instance.claim("resource") || !instance.release("resource"))
                fail("no claim");
        });
    }
    print("Instance: join in a new process",
          inProcess(200, [] { return timeOf([] { join("bench", 0); }); }));
    {
        const Crowd crowd("crowd");
        measureJoin("Instance: join, 1,000 others there", "crowd", 1000, 200);
        const qshm::Instance instance = join("crowd", 1000);
        measure("Instance: count of 1,001", 200, [&] {
            if (instance.count() != 1001)
                fail("a wrong count");
        });
        measure("Instance: peers, 1,000 described", 200, [&] {
            if (instance.peers().size() != 1000)
                fail("wrong peers");
        });
    }

    const QString lockFile = QDir::tempPath() + QStringLiteral("/bench.lock");
    measure("QLockFile: tryLock and unlock", rounds, [&] {
        QLockFile lock(lockFile);
        if (!lock.tryLock())
            fail("QLockFile");
    });
    print("QLockFile: tryLock in a new process", inProcess(200, [&] {
              QLockFile lock(lockFile);
              return timeOf([&] {
                  if (!lock.tryLock())
                      fail("QLockFile");
              });
          }));

    // It sleeps some milliseconds at random, and is an application: less what one costs alone.
    int count = 1;
    const double alone = inProcess(
            40, [&] { return timeOf([&] { new QAPPLICATION_CLASS(count, argv); }); });
    const double single = inProcess(
            40, [&] { return timeOf([&] { new SingleApplication(count, argv); }); });
    print("SingleApplication: more than an application", single - alone);
    return 0;
}

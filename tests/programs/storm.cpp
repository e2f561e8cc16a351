// Many processes start at the same moment, each create() else attach(); they
// take a number under the lock, hold it together, and end together; round
// after round. Each starter is a process of its own with its own object.
//
//   storm starters=32 rounds=100 seconds=0 inside=300 seed=1 kill=0 users=0
//
// seconds: stop after that many (0: after the rounds). kill=1: every third
// starter is killed (SIGKILL) at a random moment. users=1: root by sudo, its
// user and another user, mixed. The last line sums up; status 1 if anything
// went wrong.

#include "starter.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <vector>

#include <csignal>
#include <fcntl.h>
#include <poll.h>

using namespace starter;
using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

namespace {

constexpr auto deadline = std::chrono::seconds(20);

struct Settings
{
    int starters, rounds, seconds, inside;
    unsigned seed;
    bool kill, users;
};

struct Sums
{
    int rounds = 0, starts = 0, failed = 0, doubled = 0, hung = 0, died = 0, killed = 0, left = 0;
    bool wrong() const { return failed || doubled || hung || died || left; }
};

// What a starter writes to the parent; shorter than PIPE_BUF, so whole.
struct Report
{
    int index;
    Taken taken;
};

struct Starter
{
    Who who = Who::Caller;
    pid_t pid = 0;
    bool victim = false;
    bool killAtEnd = false; // when the others end, rather than at the start
    Clock::time_point killAt;
    bool reported = false;
    bool gone = false;
    int number = -1;
};

struct Pipe
{
    int read = -1, write = -1;
    Pipe()
    {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC)) {
            std::perror("pipe");
            std::exit(70);
        }
        read = ends[0];
        write = ends[1];
    }
    ~Pipe()
    {
        closeRead();
        closeWrite();
    }
    void closeRead() { close(read); }
    void closeWrite() { close(write); }
    // Until the other side closes.
    void waitForEnd() const
    {
        char byte;
        while (::read(read, &byte, 1) > 0) {
        }
    }

private:
    static void close(int &end)
    {
        if (end >= 0)
            ::close(end);
        end = -1;
    }
};

QString key()
{
    return key_kind::ofEnvironment("storm");
}

class Round
{
public:
    Round(const Settings &settings, std::mt19937 &random, Sums &sums, microseconds &span)
        : settings(settings), random(random), sums(sums), span(span)
    { }

    void run()
    {
        for (int i = 0; i < settings.starters; ++i)
            fork(i);
        reports.closeWrite();
        const auto begun = Clock::now();
        scheduleKills(false);
        go.closeWrite();
        collectReports(begun + deadline);
        // The next round's kills fall into the time that this one's starts took.
        span = std::chrono::duration_cast<microseconds>(Clock::now() - begun);
        checkNumbers();
        scheduleKills(true);
        end.closeWrite();
        reap(Clock::now() + deadline);
        checkLeft();
        ++sums.rounds;
    }

private:
    void fork(int index)
    {
        Starter starter;
        if (settings.users)
            starter.who = randomWho(random);
        starter.victim = settings.kill && index % 3 == 0;
        starter.killAtEnd = starter.victim && random() % 3 == 0;
        const unsigned seed = random();
        starter.pid = ::fork();
        if (starter.pid == 0) {
            go.closeWrite();
            end.closeWrite();
            play(index, starter.who, seed);
        }
        all.push_back(starter);
        ++sums.starts;
    }

    [[noreturn]] void play(int index, Who who, unsigned seed)
    {
        become(who);
        std::mt19937 ownRandom(seed);
        go.waitForEnd();
        {
            QSharedMemory memory;
            key_kind::setKey(memory, key());
            const Report report { index, takeNumber(memory, ownRandom, settings.inside) };
            if (::write(reports.write, &report, sizeof report) != ssize_t(sizeof report))
                ::_exit(70);
            end.waitForEnd();
        }
        ::_exit(0);
    }

    void scheduleKills(bool atEnd)
    {
        for (Starter &one : all) {
            if (one.victim && one.killAtEnd == atEnd)
                one.killAt = Clock::now() + microseconds(random() % (span.count() + 1));
        }
    }

    void killThoseDue(bool atEnd)
    {
        for (Starter &one : all) {
            if (one.victim && !one.gone && one.killAtEnd <= atEnd && Clock::now() >= one.killAt)
                ::kill(one.pid, SIGKILL);
        }
    }

    // How long to wait for something to happen: until the next kill, or a tick.
    int patience(bool atEnd) const
    {
        auto next = Clock::now() + std::chrono::milliseconds(20);
        for (const Starter &one : all) {
            if (one.victim && !one.gone && one.killAtEnd <= atEnd)
                next = std::min(next, one.killAt);
        }
        const auto time = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
        return int(std::max<long>(time, 0));
    }

    void noteDeaths(int flags)
    {
        int status = 0;
        for (pid_t pid; (pid = ::waitpid(-1, &status, flags)) > 0;) {
            for (Starter &one : all) {
                if (one.pid == pid)
                    one.gone = true;
                if (one.pid == pid && one.victim && WIFSIGNALED(status)
                    && WTERMSIG(status) == SIGKILL)
                    ++sums.killed;
                else if (one.pid == pid && status != 0)
                    noteDeath(status);
            }
        }
    }

    void noteDeath(int status)
    {
        if (!hanging)
            ++sums.died;
        std::printf("ended with status %#x\n", unsigned(status));
    }

    bool allReported() const
    {
        return std::all_of(all.begin(), all.end(),
                           [](const Starter &one) { return one.reported || one.gone; });
    }

    void collectReports(Clock::time_point until)
    {
        while (!allReported() && Clock::now() < until) {
            pollfd wait { reports.read, POLLIN, 0 };
            if (::poll(&wait, 1, patience(false)) > 0 && wait.revents & POLLIN)
                takeReport();
            killThoseDue(false);
            noteDeaths(WNOHANG);
        }
        for (Starter &one : all) {
            if (one.reported || one.gone)
                continue;
            std::printf("hung while starting: process %d\n", int(one.pid));
            hanging = true;
            ++sums.hung;
            ::kill(one.pid, SIGKILL);
        }
    }

    void takeReport()
    {
        Report report;
        if (::read(reports.read, &report, sizeof report) != ssize_t(sizeof report))
            return;
        Starter &one = all[size_t(report.index)];
        one.reported = true;
        one.number = report.taken.number;
        if (one.number >= 0)
            return;
        ++sums.failed;
        std::printf("failed start: %s\n", report.taken.error);
    }

    // All who are still there hold their number now.
    void checkNumbers()
    {
        noteDeaths(WNOHANG);
        std::set<int> taken[worlds];
        for (const Starter &one : all) {
            if (one.victim || one.number < 0)
                continue;
            if (!taken[worldOf(one.who)].insert(one.number).second) {
                ++sums.doubled;
                std::printf("number %d twice\n", one.number);
            }
        }
    }

    void reap(Clock::time_point until)
    {
        const auto alive = [this] {
            return std::count_if(all.begin(), all.end(),
                                 [](const Starter &one) { return !one.gone; });
        };
        while (alive() && Clock::now() < until) {
            killThoseDue(true);
            noteDeaths(WNOHANG);
            if (alive())
                pauseMicroseconds(100);
        }
        if (alive()) {
            std::printf("hung while ending: %d\n", int(alive()));
            sums.hung += int(alive());
            hanging = true;
            for (const Starter &one : all) {
                if (!one.gone)
                    ::kill(one.pid, SIGKILL);
            }
            noteDeaths(0);
        }
    }

    void checkLeft()
    {
        if (settings.kill) {
            bool alone = startAndEndAlone(settings.users ? Who::User : Who::Caller, key());
            if (settings.users)
                alone = startAndEndAlone(Who::Other, key()) && alone;
            if (settings.users && worldOf(Who::Sudo) == 2)
                alone = startAndEndAlone(Who::Sudo, key()) && alone;
            sums.starts += 1 + settings.users;
            sums.failed += !alone;
        }
        const Left found = left();
        if (!found.any())
            return;
        ++sums.left;
        std::printf("round %d left %d segments, %d semaphores, %d files\n", sums.rounds,
                    found.segments, found.semaphores, found.files);
    }

    const Settings &settings;
    std::mt19937 &random;
    Sums &sums;
    microseconds &span;
    Pipe go, end, reports;
    std::vector<Starter> all;
    bool hanging = false;
};

} // namespace

int main(int argc, char **argv)
{
    std::setvbuf(stdout, nullptr, _IOLBF, 0); // whole lines, and none twice after fork()
    const auto value = [&](const char *name, long otherwise) {
        return argument(argc, argv, name, otherwise);
    };
    Settings settings { int(value("starters", 32)), int(value("rounds", 100)),
                        int(value("seconds", 0)),   int(value("inside", 300)),
                        unsigned(value("seed", 1)), value("kill", 0) != 0,
                        value("users", 0) != 0 };
    Sums sums;
    std::mt19937 random(settings.seed);
    microseconds span(10000);
    const auto begun = Clock::now();
    const auto goesOn = [&] {
        if (settings.seconds)
            return Clock::now() - begun < std::chrono::seconds(settings.seconds);
        return sums.rounds < settings.rounds;
    };
    while (goesOn())
        Round(settings, random, sums, span).run();
    std::printf("storm on Qt %s: seed=%u kill=%d users=%d rounds=%d starts=%d failed=%d doubled=%d "
                "hung=%d died=%d killed=%d left=%d\n",
                qVersion(), settings.seed, settings.kill, settings.users, sums.rounds, sums.starts,
                sums.failed, sums.doubled, sums.hung, sums.died, sums.killed, sums.left);
    return sums.wrong();
}

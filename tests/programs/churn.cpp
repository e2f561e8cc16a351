// Starts and ends that overlap all the time: a fixed number of processes, each
// starting, taking a number under the lock, holding it for a moment, ending;
// and a new one for each that ended.
//
//   churn starters=32 starts=3000 seconds=0 inside=200 hold=2000 seed=1 kill=0 users=0
//
// As storm, but here nobody waits for the others, so that starts meet ends.
// While a process holds a number, nobody else of its world may get the same.

#include "starter.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>

#include <csignal>
#include <new>
#include <sys/mman.h>

using namespace starter;
using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

namespace {

constexpr auto deadline = std::chrono::seconds(20);
constexpr int numbers = 1 << 16;

struct Settings
{
    int starters, starts, seconds, inside, hold;
    unsigned seed;
    bool kill, users;
};

struct Sums
{
    int starts = 0, hung = 0, died = 0, killed = 0, left = 0, notAlone = 0;
};

// In memory that all processes share: who holds which number.
struct Board
{
    std::atomic<pid_t> holder[worlds][numbers];
    std::atomic<int> failed, doubled;
};

struct Life
{
    bool victim;
    Clock::time_point killAt;
    Clock::time_point hungAt;
};

QString key()
{
    return key_kind::ofEnvironment("churn");
}

Board *makeBoard()
{
    void *memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        std::perror("mmap");
        std::exit(70);
    }
    return new (memory) Board;
}

[[noreturn]] void play(Board *board, const Settings &settings, Who who, unsigned seed)
{
    become(who);
    std::mt19937 random(seed);
    {
        QSharedMemory memory;
        key_kind::setKey(memory, key());
        const Taken taken = takeNumber(memory, random, settings.inside);
        if (taken.number < 0) {
            ++board->failed;
            std::printf("failed start: %s\n", taken.error);
        } else {
            auto &holder = board->holder[worldOf(who)][taken.number % numbers];
            const pid_t self = ::getpid();
            holder.store(self);
            pauseMicroseconds(long(random() % unsigned(settings.hold + 1)));
            // Somebody else put their name here while this process, alive,
            // still held the number. (One that was killed never asks.)
            pid_t seen = self;
            if (!holder.compare_exchange_strong(seen, 0)) {
                ++board->doubled;
                std::printf("number %d twice\n", taken.number);
            }
        }
    }
    std::fflush(stdout);
    ::_exit(0);
}

class Churn
{
public:
    Churn(const Settings &settings, Board *board)
        : settings(settings), board(board), random(settings.seed)
    { }

    Sums run()
    {
        const auto begun = Clock::now();
        const auto goesOn = [&] {
            if (settings.seconds)
                return Clock::now() - begun < std::chrono::seconds(settings.seconds);
            return sums.starts < settings.starts;
        };
        while (goesOn() || !alive.empty()) {
            while (goesOn() && int(alive.size()) < settings.starters)
                fork();
            killThoseDue();
            if (!noteDeaths())
                pauseMicroseconds(50);
        }
        checkLeft();
        return sums;
    }

private:
    void fork()
    {
        const Who who = settings.users ? randomWho(random) : Who::Caller;
        const unsigned seed = random();
        const bool victim = settings.kill && sums.starts % 3 == 0;
        const auto life = microseconds(random() % unsigned(2 * settings.hold + 1));
        const pid_t pid = ::fork();
        if (pid == 0)
            play(board, settings, who, seed);
        const auto now = Clock::now();
        alive[pid] = { victim, now + life, now + deadline };
        ++sums.starts;
    }

    void killThoseDue()
    {
        const auto now = Clock::now();
        for (auto &[pid, life] : alive) {
            if (life.victim && now >= life.killAt)
                ::kill(pid, SIGKILL);
            if (now >= life.hungAt) {
                std::printf("hung: process %d\n", int(pid));
                ++sums.hung;
                life.victim = true;
                life.hungAt = Clock::time_point::max();
            }
        }
    }

    bool noteDeaths()
    {
        int status = 0;
        bool any = false;
        for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0; any = true) {
            const auto one = alive.find(pid);
            if (one == alive.end())
                continue;
            if (one->second.victim && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
                ++sums.killed;
            } else if (status != 0) {
                ++sums.died;
                std::printf("ended with status %#x\n", unsigned(status));
            }
            alive.erase(one);
        }
        return any;
    }

    // With kills the last one out may have been killed: then the next clean
    // end is what leaves nothing.
    void checkLeft()
    {
        if (settings.kill) {
            sums.notAlone += !startAndEndAlone(settings.users ? Who::User : Who::Caller, key());
            if (settings.users)
                sums.notAlone += !startAndEndAlone(Who::Other, key());
            if (settings.users && worldOf(Who::Sudo) == 2)
                sums.notAlone += !startAndEndAlone(Who::Sudo, key());
        }
        const Left found = left();
        if (!found.any())
            return;
        ++sums.left;
        std::printf("left %d segments, %d semaphores, %d files\n", found.segments, found.semaphores,
                    found.files);
    }

    const Settings &settings;
    Board *board;
    std::mt19937 random;
    Sums sums;
    std::map<pid_t, Life> alive;
};

} // namespace

int main(int argc, char **argv)
{
    std::setvbuf(stdout, nullptr, _IOLBF, 0); // whole lines, and none twice after fork()
    const auto value = [&](const char *name, long otherwise) {
        return argument(argc, argv, name, otherwise);
    };
    const Settings settings { int(value("starters", 32)), int(value("starts", 3000)),
                              int(value("seconds", 0)),   int(value("inside", 200)),
                              int(value("hold", 2000)),   unsigned(value("seed", 1)),
                              value("kill", 0) != 0,      value("users", 0) != 0 };
    Board *board = makeBoard();
    const Sums sums = Churn(settings, board).run();
    const int failed = board->failed + sums.notAlone;
    const int doubled = board->doubled;
    std::printf("churn on Qt %s: seed=%u kill=%d users=%d starts=%d failed=%d doubled=%d hung=%d "
                "died=%d killed=%d left=%d\n",
                qVersion(), settings.seed, settings.kill, settings.users, sums.starts, failed,
                doubled, sums.hung, sums.died, sums.killed, sums.left);
    return failed || doubled || sums.hung || sums.died || sums.left;
}

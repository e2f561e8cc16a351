// Processes of ours and of real Qt come and go with one key, as when some builds of an application
// are newer than others: one of ours is always there, and uses its lock now and then.
//
//   mixed PEER seconds=5 starters=12 inside=200 hold=2000 seed=1 kill=0 users=0
//
// PEER: this program with Qt's own classes. Its processes only attach, since Qt's create() makes
// another lock beside the one in use. kill=1: every third process is killed at a random moment; not
// Qt's with a POSIX key, whose lock is lost then. users=1: root by sudo, its user and another user;
// Qt's processes are the user's. The last line sums up; status 1 if anything went wrong.

#include "starter.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <map>
#include <new>
#include <vector>

#include <sys/mman.h>

using namespace starter;
using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

namespace {

constexpr int numbers = 1 << 16;
constexpr auto deadline = std::chrono::seconds(20);

// What all processes see.
struct Board
{
    std::atomic<int> failed { 0 };
    std::atomic<int> doubled { 0 };
    std::atomic<int> anchored { 0 };
    std::atomic<int> qts { 0 };
    std::atomic<bool> end { false };
    // Who has a number, by world.
    std::atomic<pid_t> holder[worlds][numbers] = {};
};

struct Settings
{
    const char *peer;
    int seconds, starters, inside, hold;
    unsigned seed;
    bool kill, users;
};

struct Life
{
    bool victim;
    Clock::time_point killAt;
    Clock::time_point hungAt;
};

QString key()
{
    return key_kind::ofEnvironment("mixed");
}

Board *mapped(int fd)
{
    void *memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        std::perror("mmap");
        std::exit(70);
    }
    return static_cast<Board *>(memory);
}

// Holds a number for a while; whoever else gets it meanwhile, or had it, is found out.
void hold(Board *board, const Taken &taken, int world, std::mt19937 &random, int time)
{
    if (taken.number < 0) {
        ++board->failed;
        std::printf("failed start: %s\n", taken.error);
        return;
    }
    auto &holder = board->holder[world][taken.number % numbers];
    const pid_t self = ::getpid();
    holder.store(self);
    pauseMicroseconds(long(random() % unsigned(time + 1)));
    pid_t seen = self;
    if (!holder.compare_exchange_strong(seen, 0)) {
        ++board->doubled;
        std::printf("number %d twice\n", taken.number);
    }
}

// Real Qt's part, in a process of the other build.
int beQt(int fd, unsigned seed, int inside, int time)
{
    Board *board = mapped(fd);
    std::mt19937 random(seed);
    QSharedMemory memory;
    key_kind::setKey(memory, key());
    const bool attached = memory.attach();
    hold(board, attached ? takeNext(memory, random, inside) : failed("attach", memory),
         worldOf(Who::User), random, time);
    ++board->qts;
    return 0;
}

[[noreturn]] void play(Board *board, const Settings &settings, Who who, unsigned seed)
{
    become(who);
    std::mt19937 random(seed);
    {
        QSharedMemory memory;
        key_kind::setKey(memory, key());
        hold(board, takeNumber(memory, random, settings.inside), worldOf(who), random,
             settings.hold);
    }
    std::fflush(stdout);
    ::_exit(0);
}

// The one that is always there.
[[noreturn]] void anchor(Board *board, Who who)
{
    become(who);
    std::mt19937 random;
    {
        QSharedMemory memory;
        key_kind::setKey(memory, key());
        const Taken taken = takeNumber(memory, random, 0);
        board->failed += taken.number != 0;
        ++board->anchored;
        while (!board->end && memory.lock() && memory.unlock())
            pauseMicroseconds(5000);
    }
    ::_exit(0);
}

class Mixed
{
public:
    Mixed(const Settings &settings, Board *board, int fd)
        : settings(settings), board(board), fd(fd), random(settings.seed)
    {
        isPosix = qgetenv("QSHM_TEST_KIND") == "posix:";
    }

    int run()
    {
        std::vector<Who> anchors { settings.users ? Who::User : Who::Caller };
        if (settings.users)
            anchors.push_back(Who::Other);
        if (settings.users && worldOf(Who::Sudo) == 2)
            anchors.push_back(Who::Sudo);
        const auto end = Clock::now() + std::chrono::seconds(settings.seconds);
        // One after the other: the user has the key that Qt's processes can use.
        for (size_t i = 0; i < anchors.size(); ++i) {
            const pid_t pid = ::fork();
            if (pid == 0)
                anchor(board, anchors[i]);
            note(pid, false);
            while (board->anchored <= int(i) && Clock::now() < end)
                pauseMicroseconds(500);
        }
        const size_t always = anchors.size();
        while (Clock::now() < end || alive.size() > always) {
            while (Clock::now() < end && alive.size() < always + size_t(settings.starters))
                start();
            step();
        }
        board->end = true;
        for (auto &one : alive)
            one.second.hungAt = Clock::now() + deadline;
        while (!alive.empty())
            step();
        return sum();
    }

private:
    void note(pid_t pid, bool victim)
    {
        const auto life = microseconds(random() % unsigned(2 * settings.hold + 1));
        const auto now = Clock::now();
        // What is always there has until the end.
        const bool always = alive.size() < size_t(worlds) && starts == 0;
        alive[pid] = { victim, now + life, always ? Clock::time_point::max() : now + deadline };
    }

    void start()
    {
        const bool qts = starts % 3 == 1;
        Who who = settings.users ? randomWho(random) : Who::Caller;
        if (qts && settings.users)
            who = Who::User;
        const unsigned seed = random();
        const bool victim = settings.kill && starts % 4 == 0 && !(qts && isPosix);
        const pid_t pid = ::fork();
        if (pid == 0 && !qts)
            play(board, settings, who, seed);
        if (pid == 0)
            becomeQt(who, seed);
        ++starts;
        note(pid, victim);
    }

    [[noreturn]] void becomeQt(Who who, unsigned seed)
    {
        become(who);
        const auto text = [](long number) { return std::to_string(number); };
        ::execl(settings.peer, settings.peer, "qt", text(fd).c_str(), text(seed).c_str(),
                text(settings.inside).c_str(), text(settings.hold).c_str(), nullptr);
        std::perror(settings.peer);
        ::_exit(70);
    }

    void step()
    {
        const auto now = Clock::now();
        for (auto &[pid, life] : alive) {
            if (life.victim && now >= life.killAt)
                ::kill(pid, SIGKILL);
            if (now >= life.hungAt) {
                std::printf("hung: process %d\n", int(pid));
                ++hung;
                ::kill(pid, SIGKILL);
                life = { true, now, Clock::time_point::max() };
            }
        }
        int status = 0;
        bool any = false;
        for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0; any = true) {
            const auto one = alive.find(pid);
            const bool byUs = one != alive.end() && one->second.victim && WIFSIGNALED(status)
                    && WTERMSIG(status) == SIGKILL;
            killed += byUs;
            if (status != 0 && !byUs) {
                ++died;
                std::printf("ended with status %#x\n", unsigned(status));
            }
            alive.erase(pid);
        }
        if (!any)
            pauseMicroseconds(50);
    }

    int sum() const
    {
        const Left found = left();
        const int failed = board->failed, doubled = board->doubled, qts = board->qts;
        std::printf("mixed on Qt %s: %s seed=%u kill=%d users=%d starts=%d qts=%d failed=%d "
                    "doubled=%d hung=%d died=%d killed=%d left=%d\n",
                    qVersion(), qgetenv("QSHM_TEST_KIND").constData(), settings.seed, settings.kill,
                    settings.users, starts, qts, failed, doubled, hung, died, killed, found.any());
        return failed || doubled || hung || died || found.any() || qts == 0;
    }

    const Settings &settings;
    Board *board;
    int fd;
    std::mt19937 random;
    std::map<pid_t, Life> alive;
    int starts = 0, hung = 0, died = 0, killed = 0;
    bool isPosix = false;
};

} // namespace

int main(int argc, char **argv)
{
    std::setvbuf(stdout, nullptr, _IOLBF, 0); // whole lines, and none twice after fork()
    if (argc == 6 && !std::strcmp(argv[1], "qt"))
        return beQt(std::atoi(argv[2]), unsigned(std::strtoul(argv[3], nullptr, 10)),
                    std::atoi(argv[4]), std::atoi(argv[5]));
    if (argc < 2)
        return 64;
    const auto value = [&](const char *name, long otherwise) {
        return argument(argc, argv, name, otherwise);
    };
    const Settings settings { argv[1],
                              int(value("seconds", 5)),
                              int(value("starters", 12)),
                              int(value("inside", 200)),
                              int(value("hold", 2000)),
                              unsigned(value("seed", 1)),
                              value("kill", 0) != 0,
                              value("users", 0) != 0 };
    // Inherited by whoever is started, Qt's processes as well.
    const int fd = ::memfd_create("board", 0);
    if (fd < 0 || ::ftruncate(fd, sizeof(Board))) {
        std::perror("memfd_create");
        return 70;
    }
    auto *board = new (mapped(fd)) Board;
    return Mixed(settings, board, fd).run();
}

// Many processes of three users, and of root for one of them, that join and end all the time and
// are killed at random, while another program watches.
//
//   face_instance_storm OBSERVER BOARD SECONDS SEED DELETE
//
// DELETE 1: the registries are deleted all the time as well. Prints "ok ..." or what was wrong.

#include "instance/board.h"

#include <qshm/instance.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <grp.h>
#include <random>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

using namespace storm;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int crowd = 200;
constexpr const char *directories[worlds] = { "/run/user/1/qshm", "/run/user/2/qshm",
                                              "/run/user/3/qshm" };

// Who a process of this place is: alice, root for alice, bob, carol, in turn. While registries are
// deleted, root alone for alice: a user can't see who of root's is on a file that is gone.
void become(int place, bool deletes)
{
    static constexpr int uids[] = { 1, 0, 2, 3 };
    const int own = uids[place % 4];
    const unsigned uid = deletes && own == 1 ? 0 : unsigned(own);
    setgroups(0, nullptr);
    if (uid == 0) {
        setenv("SUDO_UID", "1", 1);
        setenv("SUDO_GID", "1", 1);
    } else if (setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0) {
        _exit(3);
    }
    // A change of users clears these; a user's own processes can look at each other.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 1);
}

int worldOf(int place)
{
    static constexpr int world[] = { 0, 0, 1, 2 };
    return world[place % 4];
}

void say(Entry &entry, int number, bool claims)
{
    entry.turn.fetch_add(1);
    entry.number.store(number + 1);
    entry.claims.store(claims);
    entry.turn.fetch_add(1);
}

[[noreturn]] void live(Board &board, int place, unsigned seed, bool deletes)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    become(place, deletes);
    std::minstd_rand random(seed);
    Entry &entry = board.entries[place];
    for (;;) {
        qshm::Instance instance = qshm::Instance::join("storm");
        if (!instance.exclusive()) {
            board.privates.fetch_add(1);
            std::fprintf(stderr, "%s\n", instance.reason().c_str());
            // The files were gone at each attempt.
            if (deletes)
                continue;
        }
        const bool claims = random() % 8 == 0 && instance.claim("camera");
        say(entry, instance.number(), claims);
        entry.joins.fetch_add(1);
        // Who looks moves to the registry that is there now.
        if (random() % 4 == 0)
            instance.count();
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
        if (board.stop.load()) {
            board.stopped.fetch_add(1);
            while (board.stop.load() == 1)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            entry.count.store(std::int32_t(instance.count()));
            board.stopped.fetch_add(1);
            for (;;)
                pause();
        }
        say(entry, -1, false);
    }
}

struct Storm
{
    Board &board;
    const bool deletes;
    std::minstd_rand random;
    std::vector<pid_t> pids = std::vector<pid_t>(crowd);
    long starts = 0, kills = 0, joins = 0, deletions = 0;

    void start(int place)
    {
        Entry &entry = board.entries[place];
        const unsigned seed = unsigned(random());
        const pid_t pid = fork();
        if (pid == 0)
            live(board, place, seed, deletes);
        entry.world.store(worldOf(place));
        entry.pid.store(pid);
        pids[std::size_t(place)] = pid;
        ++starts;
    }

    void kill(int place)
    {
        Entry &entry = board.entries[place];
        ::kill(pids[std::size_t(place)], SIGKILL);
        waitpid(pids[std::size_t(place)], nullptr, 0);
        say(entry, -1, false);
        joins += entry.joins.exchange(0);
        ++kills;
    }

    void deleteSome()
    {
        const unsigned world = unsigned(random() % worlds);
        const std::string directory = random() % 2
                ? directories[world]
                : "/tmp/qshm-instances-" + std::to_string(world + 1);
        const std::string file = directory + "/storm.user." + std::to_string(random() % 2);
        deletions += unlink(random() % 4 ? file.c_str()
                                         : (directory + "/storm.user.claims").c_str())
                == 0;
    }

    bool waitForStopped(int wanted)
    {
        const auto deadline = Clock::now() + std::chrono::seconds(60);
        while (board.stopped.load() < wanted) {
            if (Clock::now() > deadline)
                return false;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return true;
    }
};

int fail(const char *what)
{
    std::printf("FAILED: %s\n", what);
    return EXIT_FAILURE;
}

// The observer's next line.
std::string lineOf(std::FILE *observer)
{
    char line[256] = "";
    return std::fgets(line, sizeof line, observer) ? line : "nothing more from the observer\n";
}

} // namespace

int main(int argc, char **argv)
{
    Board *board = argc == 6 ? openBoard(argv[2]) : nullptr;
    if (!board)
        return fail("usage");
    const auto end = Clock::now() + std::chrono::milliseconds(long(std::atof(argv[3]) * 1000));
    const bool deletes = std::atoi(argv[5]) != 0;
    Storm storm { *board, deletes, std::minstd_rand(unsigned(std::atoi(argv[4]))) };

    std::string command = std::string(argv[1]) + ' ' + argv[2] + (deletes ? " 0" : " 1");
    for (const char *directory : directories)
        command += std::string(" ") + directory;
    std::FILE *observer = popen(command.c_str(), "r");
    if (!observer)
        return fail("no observer");

    for (int place = 0; place < crowd; ++place)
        storm.start(place);
    while (Clock::now() < end) {
        const int place = int(storm.random() % crowd);
        storm.kill(place);
        storm.start(place);
        if (deletes)
            storm.deleteSome();
        std::this_thread::sleep_for(std::chrono::microseconds(storm.random() % 3000));
    }

    // All stop with the number that they have.
    board->stop.store(1);
    if (!storm.waitForStopped(crowd))
        return fail("not all stop");
    // They look, and move to the registry that is there; then all are to be seen.
    board->stop.store(2);
    if (!storm.waitForStopped(2 * crowd))
        return fail("not all count");
    board->look.store(1);
    const std::string locked = lineOf(observer);
    bool counted = true;
    for (int place = 0; place < crowd; ++place) {
        const int alive = crowd / 4 * (worldOf(place) == 0 ? 2 : 1);
        counted = counted && board->entries[place].count.load() == alive;
    }
    for (int place = 0; place < crowd; ++place)
        storm.kill(place);
    board->look.store(1);
    const std::string after = lineOf(observer);
    board->end.store(1);
    const std::string looks = lineOf(observer);
    const int status = pclose(observer);

    const long privates = board->privates.load();
    std::printf("%ld joins, %ld kills, %ld deletions, %ld private numbers, %s", storm.joins,
                storm.kills, storm.deletions, privates, looks.c_str());
    if (status != 0)
        return fail((locked + after + looks).c_str());
    if (deletes ? privates > storm.joins / 20 : privates != 0)
        return fail("a private number");
    if (!counted)
        return fail("a count that is not the number alive");
    if (locked != "100 50 50 locked\n")
        return fail(locked.c_str());
    if (after != "0 0 0 locked\n")
        return fail(after.c_str());
    std::printf("ok\n");
    return EXIT_SUCCESS;
}

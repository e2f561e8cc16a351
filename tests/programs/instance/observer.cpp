// Watches the storm of instances, without the library: reads what the processes say of themselves
// and asks the kernel about the locks of the registry files itself.
//
//   instance_observer BOARD LOCKED DIRECTORY...    a directory for each world; LOCKED 1: each
//                                                  number must be locked on the file that is there
//
// Watches until the board says "end", then prints "N looks" or what was wrong.

#include "board.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>

using namespace storm;

namespace {

struct Seen
{
    int place, pid, world, number;
    bool claims;
    std::uint64_t turn;
};

// Whether a process still has its memory. Its files are closed after that is gone.
bool alive(int pid)
{
    char path[64], text[1024];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return false;
    text[length] = 0;
    // The 23rd field, counted from behind the name in parentheses, which is the second.
    const char *field = std::strrchr(text, ')');
    for (int number = 2; field && number < 23; ++number)
        field = std::strchr(field + 1, ' ');
    return field && std::strtoull(field, nullptr, 10) > 0;
}

// Whether what was seen was true until now.
bool stillTrue(const Board &board, const Seen &seen)
{
    return alive(seen.pid) && board.entries[seen.place].turn.load() == seen.turn;
}

std::vector<Seen> look(const Board &board)
{
    std::vector<Seen> all;
    for (int place = 0; place < places; ++place) {
        const Entry &entry = board.entries[place];
        Seen seen {};
        seen.place = place;
        seen.turn = entry.turn.load();
        seen.pid = entry.pid.load();
        seen.world = entry.world.load();
        seen.number = entry.number.load() - 1;
        seen.claims = entry.claims.load() != 0;
        if (seen.pid > 0 && seen.number >= 0 && entry.turn.load() == seen.turn)
            all.push_back(seen);
    }
    return all;
}

// The registry files of a world, as they are now.
class Files
{
public:
    explicit Files(std::string directory) : m_directory(std::move(directory)) { }
    ~Files() { forget(); }
    Files(const Files &) = delete;
    Files &operator=(const Files &) = delete;

    void forget()
    {
        for (const auto &[index, file] : m_files)
            close(file.first);
        m_files.clear();
    }

    // Whether somebody has the number locked; says yes if there is no file to ask.
    bool locked(int number)
    {
        const auto *file = find(number / 64);
        return !file || isLocked(file->first, file->second + number);
    }

    int count()
    {
        int count = 0;
        for (int number = 0; number < 4 * 64; ++number) {
            const auto *file = find(number / 64);
            count += file && isLocked(file->first, file->second + number);
        }
        return count;
    }

private:
    static bool isLocked(int fd, std::int64_t position)
    {
        struct flock lock
        { };
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;
        lock.l_start = position;
        lock.l_len = 1;
        return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_WRLCK;
    }

    const std::pair<int, std::int64_t> *find(int index)
    {
        const auto known = m_files.find(index);
        if (known != m_files.end())
            return &known->second;
        const std::string path = m_directory + "/storm.user." + std::to_string(index);
        const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        std::int64_t numbers = 0;
        // Where the locks are stands in the header.
        if (fd >= 0 && pread(fd, &numbers, sizeof numbers, 24) == sizeof numbers && numbers > 0)
            return &m_files.emplace(index, std::make_pair(fd, numbers)).first->second;
        if (fd >= 0)
            close(fd);
        return nullptr;
    }

    std::string m_directory;
    std::map<int, std::pair<int, std::int64_t>> m_files;
};

int complain(const char *what, const Seen &one, const Seen &other)
{
    std::printf("%s: number %d, world %d, pids %d and %d\n", what, one.number, one.world, one.pid,
                other.pid);
    return EXIT_FAILURE;
}

} // namespace

int main(int argc, char **argv)
{
    Board *board = argc == 3 + worlds ? openBoard(argv[1]) : nullptr;
    if (!board)
        return 2;
    const bool mustBeLocked = std::atoi(argv[2]) != 0;
    std::vector<Files *> files;
    for (int world = 0; world < worlds; ++world)
        files.push_back(new Files(argv[3 + world]));

    long looks = 0, locks = 0;
    while (!board->end.load()) {
        ++looks;
        std::map<std::pair<int, int>, Seen> holders;
        std::map<int, Seen> claims;
        for (const Seen &seen : look(*board)) {
            const auto [first, isNew] = holders.emplace(std::make_pair(seen.world, seen.number),
                                                        seen);
            if (!isNew && stillTrue(*board, first->second) && stillTrue(*board, seen)
                && stillTrue(*board, first->second))
                return complain("a number twice", first->second, seen);
            if (seen.claims) {
                const auto [other, isFirst] = claims.emplace(seen.world, seen);
                if (!isFirst && stillTrue(*board, other->second) && stillTrue(*board, seen)
                    && stillTrue(*board, other->second))
                    return complain("a claim twice", other->second, seen);
            }
            if (mustBeLocked && !files[std::size_t(seen.world)]->locked(seen.number)
                && stillTrue(*board, seen))
                return complain("not locked", seen, seen);
            ++locks;
        }
        usleep(100);
        if (board->look.exchange(0)) {
            for (Files *world : files) {
                world->forget();
                std::printf("%d ", world->count());
            }
            std::printf("locked\n");
            std::fflush(stdout);
        }
    }
    std::printf("%ld looks at %ld numbers\n", looks, locks);
    return EXIT_SUCCESS;
}

// What the processes of the storm of instances say of themselves, in memory that they share.
#ifndef QSHM_TESTS_INSTANCE_BOARD_H
#define QSHM_TESTS_INSTANCE_BOARD_H

#include <atomic>
#include <cstdint>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace storm {

constexpr int places = 256;
// Users whose numbers have nothing to do with each other: alice (and root for her), bob, carol.
constexpr int worlds = 3;

// One process. What it says is true of the time between two changes of `turn`.
struct alignas(64) Entry
{
    std::atomic<std::uint64_t> turn;
    std::atomic<std::int32_t> pid;
    std::atomic<std::int32_t> world;
    // One more than its number; 0: none at the moment.
    std::atomic<std::int32_t> number;
    std::atomic<std::int32_t> claims;
    std::atomic<std::int32_t> joins;
    // What count() said when all had stopped.
    std::atomic<std::int32_t> count;
};

// All zero at the start, as a new file is.
struct Board
{
    std::atomic<std::int32_t> stop;
    std::atomic<std::int32_t> stopped;
    std::atomic<std::int32_t> look;
    std::atomic<std::int32_t> end;
    std::atomic<std::int32_t> privates;
    Entry entries[places];
};

inline Board *openBoard(const char *path)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || ftruncate(fd, sizeof(Board)) != 0)
        return nullptr;
    void *memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return memory == MAP_FAILED ? nullptr : static_cast<Board *>(memory);
}

} // namespace storm

#endif

// What it costs to find out that a process without qshm uses a POSIX segment: medians in
// milliseconds of create(), which says AlreadyExists, and of attach() with detach().
//
// usage: peers_bench NAME [rounds]

#include <qshm/shared_memory.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr std::uint16_t posixRealtime = 0x100;

template <typename Act>
void measure(const char *what, int rounds, Act act)
{
    using Clock = std::chrono::steady_clock;
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round) {
        const auto begin = Clock::now();
        act();
        const std::chrono::duration<double, std::milli> time = Clock::now() - begin;
        times.push_back(time.count());
    }
    const auto middle = times.begin() + std::ptrdiff_t(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    std::printf("  %-16s %8.3f ms\n", what, *middle);
}

void demand(bool good, const qshm::SharedMemory &memory)
{
    if (good)
        return;
    std::fprintf(stderr, "%s\n", memory.error().text().c_str());
    std::exit(1);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    const int rounds = argc > 2 ? std::max(1, std::atoi(argv[2])) : 200;
    qshm::SharedMemory memory;
    memory.setNativeKey(posixRealtime, argv[1]);
    measure("create()", rounds, [&memory] {
        demand(!memory.create(4) && memory.error().code == qshm::ErrorCode::AlreadyExists, memory);
    });
    measure("attach, detach", rounds, [&memory] {
        demand(memory.attach(), memory);
        demand(memory.detach(), memory);
    });
    return 0;
}

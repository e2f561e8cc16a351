// Threads that all use the two classes for the first time, at the same moment: under the preload
// library each of them finds out which Qt there is.

// So that it also runs on an older Qt than it is built with.
#define QT_NO_VERSION_TAGGING

#include <QSharedMemory>
#include <QSystemSemaphore>

#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

namespace {

constexpr int Threads = 6;
std::atomic<int> ready { 0 };
std::atomic<int> wrong { 0 };

void use(int number)
{
    const QString key = QStringLiteral("first use %1").arg(number);
    ++ready;
    while (ready < Threads) {
    }
    QSharedMemory memory(key);
    QSystemSemaphore semaphore(key, 1, QSystemSemaphore::Create);
    QObject parent;
    auto *const child = new QSharedMemory(key, &parent);
    const bool good = memory.create(4) && memory.lock() && memory.unlock() && semaphore.acquire()
            && semaphore.release() && child->attach();
    if (!good)
        ++wrong;
}

} // namespace

int main()
{
    std::vector<std::thread> threads;
    for (int number = 0; number < Threads; ++number)
        threads.emplace_back(use, number);
    for (std::thread &thread : threads)
        thread.join();
    std::printf("%d wrong\n", wrong.load());
    return wrong;
}

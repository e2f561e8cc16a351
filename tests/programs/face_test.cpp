// The C++ API without Qt, also where there are neither exceptions nor run-time types. Prints
// "ok NAME" for each check; the exit code is the number of failures.

#include <qshm/diagnosis.h>
#include <qshm/log.h>
#include <qshm/options.h>
#include <qshm/shared_memory.h>
#include <qshm/system_semaphore.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <pthread.h>
#include <thread>
#include <type_traits>
#include <unistd.h>
#include <utility>

namespace {

using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<qshm::SharedMemory>);
static_assert(std::is_nothrow_move_constructible_v<qshm::SharedMemory>);
static_assert(std::is_nothrow_move_assignable_v<qshm::SystemSemaphore>);

int failures = 0;

void check(bool good, const char *name)
{
    std::printf("%s %s\n", good ? "ok" : "FAILED", name);
    std::fflush(stdout);
    if (!good)
        ++failures;
}

/// A key of this run alone.
std::string keyFor(const char *name)
{
    return "face test " + std::to_string(getpid()) + ' ' + name;
}

bool startsWith(const std::string &text, std::string_view start)
{
    return text.compare(0, start.size(), start) == 0;
}

std::string logged;

void checkMemory()
{
    const std::string key = keyFor("memory");
    qshm::SharedMemory memory(key);
    check(!memory.isAttached() && !memory.data() && memory.size() == 0 && !memory.error()
                  && memory.errorString().empty(),
          "new object");
    check(!memory.attach() && memory.error().code == qshm::ErrorCode::NotFound
                  && memory.error().detail.empty()
                  && memory.errorString() == "QSharedMemory::handle:: UNIX key file doesn't exist",
          "attach to nothing");
    check(!memory.create(0) && memory.error().code == qshm::ErrorCode::InvalidSize,
          "create of no size");
    check(memory.create(5) && memory.isAttached() && memory.size() == 5 && !memory.error(),
          "create");
    check(memory.data() == memory.constData() && memory.data() == std::as_const(memory).data()
                  && static_cast<char *>(memory.data())[4] == 0,
          "data");

    qshm::SharedMemory other;
    other.setKey(key);
    check(!other.create(5) && other.error().code == qshm::ErrorCode::AlreadyExists,
          "create of what exists");
    check(other.attach(qshm::AccessMode::ReadOnly) && other.size() == 5, "attach");
    static_cast<char *>(memory.data())[0] = 42;
    check(static_cast<const char *>(other.constData())[0] == 42, "shared");
    check(!other.nativeKey().empty() && other.nativeKey() == memory.nativeKey(), "native key");

    check(memory.lock() && !other.tryLock() && !other.tryLock(20ms) && memory.unlock()
                  && other.tryLock(1s) && other.unlock() && !other.unlock(),
          "lock");

    qshm::SharedMemory third;
    third.setNativeKey(memory.nativeKey());
    check(third.attach() && static_cast<char *>(third.data())[0] == 42, "attach by native key");
    third.clearKey();
    check(!third.isAttached() && third.nativeKey().empty(), "key taken away");

    check(other.detach() && !other.detach() && memory.detach(), "detach");
    check(!other.attach(), "gone with the last one");
}

void checkKeys()
{
    qshm::SharedMemory nameless;
    check(!nameless.create(4) && nameless.error().code == qshm::ErrorCode::KeyError
                  && startsWith(nameless.errorString(),
                                "QSharedMemory::handle:: unable to make key"),
          "no key");
    using namespace std::string_view_literals;
    qshm::SharedMemory odd(keyFor("\xff\xfe/../") + std::string("a\0b"sv));
    check(odd.create(1) && odd.detach(), "key of any bytes");
    qshm::SharedMemory elsewhere;
    elsewhere.setKey("key", "/does/not/exist");
    check(startsWith(elsewhere.nativeKey(), "/does/not/exist/qipc_sharedmemory_key")
                  && !elsewhere.create(4) && elsewhere.error(),
          "temp directory that does not exist");
}

void checkMove()
{
    qshm::SharedMemory memory(keyFor("move"));
    memory.create(4);
    void *const data = memory.data();
    qshm::SharedMemory moved(std::move(memory));
    check(moved.data() == data, "moved to");
    check(!memory.isAttached() && memory.nativeKey().empty() && !memory.lock(), "moved from");
    memory = std::move(moved);
    check(memory.data() == data && memory.detach(), "moved back");
    memory = qshm::SharedMemory(keyFor("other"));
    check(memory.create(4), "usable after being moved from");
}

void checkThreads()
{
    const std::string key = keyFor("threads");
    qshm::SharedMemory memory(key);
    memory.create(sizeof(int));
    constexpr int rounds = 2000;
    const auto count = [&key] {
        qshm::SharedMemory own(key);
        if (!own.attach())
            return;
        for (int i = 0; i < rounds; ++i) {
            const std::lock_guard<qshm::SharedMemory> guard(own);
            ++*static_cast<int *>(own.data());
        }
    };
    std::thread first(count);
    std::thread second(count);
    first.join();
    second.join();
    check(*static_cast<int *>(memory.data()) == 2 * rounds, "std::lock_guard");
}

void checkOptions()
{
    const std::string key = keyFor("options");
    qshm::Options keep;
    keep.leftover = qshm::Leftover::Keep;
    keep.lockWait = 1s;
    {
        qshm::SharedMemory memory(key);
        memory.setOptions(keep);
        check(memory.create(4), "create with options");
    }
    qshm::Options owner;
    owner.access = qshm::AccessPolicy::Owner;
    qshm::setProcessOptions(owner);
    qshm::SharedMemory memory(key);
    check(memory.create(4), "create with process options");
    const qshm::Diagnosis diagnosis = memory.diagnosis();
    const auto &segment = diagnosis.machineWide.segment;
    check(segment && segment->object.permissions && segment->object.permissions->mode == 0600
                  && segment->object.permissions->uid == geteuid(),
          "owner alone");
    qshm::setQtVersion("no version");
    qshm::setQtVersion("5.15.8");
}

/// This process has the segment, and the lock.
void checkOwnProcess(const qshm::Diagnosis &diagnosis, const char *what)
{
    const auto &place = diagnosis.machineWide;
    check(place.state == qshm::ObjectState::Live && place.processes.size() == 1
                  && place.processes[0].pid == getpid() && place.processes[0].uid == getuid()
                  && !place.processes[0].stopped,
          what);
    check(place.semaphore && place.semaphore->value == 0 && place.semaphore->holder
                  && place.semaphore->holder->pid == getpid(),
          what);
    check(diagnosis.text.find("held by") != std::string::npos, what);
}

void checkDiagnosis()
{
    qshm::SharedMemory memory(keyFor("diagnosis"));
    check(memory.diagnosis().verdict == qshm::Verdict::Free, "verdict free");
    memory.create(100);
    memory.lock();
    const qshm::Diagnosis diagnosis = memory.diagnosis();
    check(diagnosis.verdict == qshm::Verdict::Live && diagnosis.command.empty(), "verdict live");
    const auto &segment = diagnosis.machineWide.segment;
    check(segment && segment->size == 100 && segment->attached == 1
                  && segment->creatorPid == getpid() && segment->object.id
                  && segment->object.file.empty(),
          "segment in the diagnosis");
    const auto &files = diagnosis.machineWide.files;
    check(files.size() == 2 && files[0].path == memory.nativeKey() && files[0].trouble.empty()
                  && !diagnosis.aside.segment && diagnosis.aside.files.empty(),
          "key files in the diagnosis");
    checkOwnProcess(diagnosis, "in the diagnosis");
    memory.unlock();
}

void checkPosixDiagnosis()
{
    qshm::SharedMemory memory;
    const std::string name = "/face-" + std::to_string(getpid());
    memory.setNativeKey(0x100, name);
    check(memory.diagnosis().machineWide.state == qshm::ObjectState::Nothing, "no POSIX segment");
    memory.create(100);
    memory.lock();
    const qshm::Diagnosis diagnosis = memory.diagnosis();
    check(diagnosis.verdict == qshm::Verdict::Live && diagnosis.command.empty(), "POSIX verdict");
    const auto &segment = diagnosis.machineWide.segment;
    check(segment && segment->size == 100 && segment->attached == 1 && !segment->object.id
                  && segment->object.file == "/dev/shm" + name && segment->object.permissions
                  && segment->object.permissions->mode == 0600,
          "POSIX segment in the diagnosis");
    checkOwnProcess(diagnosis, "in the POSIX diagnosis");
    memory.unlock();
    qshm::SystemSemaphore semaphore;
    semaphore.setNativeKey(0x100, name + "-s", 3);
    const auto &counter = semaphore.diagnosis().machineWide;
    check(counter.semaphore && counter.semaphore->value == 3 && !counter.segment
                  && counter.processes.size() == 1,
          "POSIX semaphore in the diagnosis");
}

void checkSemaphore()
{
    const std::string key = keyFor("semaphore");
    qshm::SystemSemaphore semaphore(key, 1, qshm::OpenMode::Create);
    qshm::SystemSemaphore other(key, 7);
    check(!semaphore.error() && !other.error(), "semaphore");
    check(semaphore.acquire() && other.release() && other.acquire() && semaphore.release(),
          "acquire and release");
    check(semaphore.release(0) && !semaphore.release(-1) && !semaphore.error(),
          "release of less than one");
    check(!semaphore.release(32767) && semaphore.error().code == qshm::ErrorCode::OutOfResources
                  && startsWith(semaphore.errorString(),
                                "QSystemSemaphore::modifySemaphore: out of resources"),
          "release of too many");
    qshm::SystemSemaphore nameless;
    check(!nameless.acquire() && nameless.error().code == qshm::ErrorCode::KeyError
                  && nameless.errorString() == "QSystemSemaphore::handle:: key is empty",
          "semaphore without a key");
    nameless = std::move(other);
    check(nameless.acquire() && nameless.release(), "semaphore moved to");
}

/// What QThread::terminate() does.
void checkCancelled()
{
    static qshm::SharedMemory memory(keyFor("cancelled"));
    static std::atomic<int> rounds = 0;
    const auto work = [](void *) -> void * {
        for (;; ++rounds) {
            pthread_testcancel();
            memory.create(4);
            memory.lock();
            memory.unlock();
            memory.detach();
        }
    };
    int cancelled = 0;
    for (int i = 0; i < 100; ++i) {
        pthread_t thread;
        if (pthread_create(&thread, nullptr, work, nullptr) != 0)
            break;
        const int seen = rounds;
        while (rounds == seen)
            std::this_thread::yield();
        pthread_cancel(thread);
        void *result = nullptr;
        pthread_join(thread, &result);
        cancelled += result == PTHREAD_CANCELED;
    }
    check(cancelled == 100 && memory.create(4) && memory.detach(), "cancelled threads");
}

void checkLog()
{
    qshm::SharedMemory memory(keyFor("log"));
    memory.create(4);
    memory.lock();
    memory.lock();
    check(logged.empty(), "no log unless asked for");
    qshm::setLogHandler(
            [](qshm::LogLevel level, std::string_view target, std::string_view message) {
                if (level == qshm::LogLevel::Warning)
                    logged.append(target).append(": ").append(message);
            });
    memory.lock();
    check(logged == "qt: QSharedMemory::lock: already locked", "log");
    logged.clear();
    qshm::setLogHandler(
            [](qshm::LogLevel, std::string_view, std::string_view message) { logged += message; },
            [](qshm::LogLevel, std::string_view target) { return target != "qt"; });
    memory.lock();
    check(logged.empty(), "log filter");
    qshm::setLogHandler(nullptr);
    memory.lock();
    check(logged.empty(), "log switched off");
    memory.unlock();
}

} // namespace

int main()
{
    checkMemory();
    checkKeys();
    checkMove();
    checkThreads();
    checkOptions();
    checkDiagnosis();
    checkPosixDiagnosis();
    checkSemaphore();
    checkCancelled();
    checkLog();
    return failures;
}

// What storm and churn share: starting as somebody, as an application does
// that counts its instances, and looking for what is left behind.

#ifndef QSHM_TESTS_STARTER_H
#define QSHM_TESTS_STARTER_H

#include "key_kind.h"

#include <QDir>
#include <QDirIterator>
#include <QSharedMemory>
#include <QString>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>

#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace starter {

// Whose process it is. Sudo and User share: root was called by that user.
enum class Who { Caller, Sudo, User, Other };

// The two users that every Linux has, with groups of the same numbers: who
// called sudo must exist.
constexpr uid_t userId = 1;
constexpr uid_t otherId = 2;

// Which of the worlds somebody is in, where users are mixed. The System V keys of Qt 6.6 and later
// are in the runtime directory, which root has another of, also by sudo.
constexpr int worlds = 3;

inline int worldOf(Who who)
{
    if (who == Who::Sudo && qgetenv("QSHM_TEST_KIND") == "systemv:")
        return 2;
    return who == Who::Other ? 1 : 0;
}

inline Who randomWho(std::mt19937 &random)
{
    constexpr Who all[] = { Who::Sudo, Who::User, Who::Other };
    return all[random() % 3];
}

inline void pauseMicroseconds(long microseconds)
{
    timespec time { microseconds / 1000000, (microseconds % 1000000) * 1000 };
    ::nanosleep(&time, nullptr);
}

// Makes the calling process, just forked, theirs, as if they had started it.
inline void become(Who who)
{
    const uid_t id = who == Who::Other ? otherId : userId;
    const QByteArray runtime = qgetenv("QSHM_TEST_RUNTIME");
    if (who != Who::Caller && !runtime.isEmpty())
        qputenv("XDG_RUNTIME_DIR", runtime + '/' + QByteArray::number(who == Who::Sudo ? 0u : id));
    if (who == Who::Sudo) {
        ::setenv("SUDO_UID", std::to_string(id).c_str(), 1);
        ::setenv("SUDO_GID", std::to_string(id).c_str(), 1);
    } else if (who != Who::Caller) {
        if (::setgroups(0, nullptr) || ::setresgid(id, id, id) || ::setresuid(id, id, id)) {
            std::perror("becoming another user");
            ::_exit(70);
        }
        // A program that a user starts is dumpable; the change of user took that.
        ::prctl(PR_SET_DUMPABLE, 1);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
}

// What one start came to: a number, or -1 and the reason.
struct Taken
{
    int number = -1;
    char error[240] = {};
};

inline Taken failed(const char *what, const QSharedMemory &memory)
{
    Taken taken;
    std::snprintf(taken.error, sizeof taken.error, "%s: error %d: %s", what, int(memory.error()),
                  qPrintable(memory.errorString()));
    return taken;
}

// create() else attach(). In between, the last one who was attached may end:
// then both are right to fail, and what there was to attach is gone.
inline bool enter(QSharedMemory &memory)
{
    for (int attempt = 0; attempt < 100; ++attempt) {
        if (memory.create(int(sizeof(int))))
            return true;
        const bool existed = memory.error() == QSharedMemory::AlreadyExists;
        if (memory.attach())
            return true;
        if (!existed || memory.error() != QSharedMemory::NotFound)
            return false;
    }
    return false;
}

// lock(), take a number, stay inside for up to that many microseconds, unlock().
inline Taken takeNext(QSharedMemory &memory, std::mt19937 &random, int insideMicroseconds)
{
    if (!memory.lock())
        return failed("lock", memory);
    auto *count = static_cast<volatile int *>(memory.data());
    Taken taken;
    taken.number = *count;
    pauseMicroseconds(long(random() % unsigned(insideMicroseconds + 1)));
    *count = taken.number + 1;
    if (!memory.unlock())
        return failed("unlock", memory);
    return taken;
}

// enter(), then a number. Leaves the object attached.
inline Taken takeNumber(QSharedMemory &memory, std::mt19937 &random, int insideMicroseconds)
{
    if (!enter(memory))
        return failed("start", memory);
    return takeNext(memory, random, insideMicroseconds);
}

// System V objects of this namespace, and files in the temp directory (the
// empty folders that stepping aside makes do not count).
struct Left
{
    int segments = 0;
    int semaphores = 0;
    int files = 0;
    bool any() const { return segments || semaphores || files; }
};

inline int linesAfterHeader(const char *path)
{
    FILE *file = std::fopen(path, "r");
    if (!file) {
        std::perror(path);
        std::exit(70);
    }
    int lines = -1;
    for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file))
        lines += c == '\n';
    std::fclose(file);
    return lines;
}

inline int filesBelow(const QString &directory)
{
    int files = 0;
    QDirIterator all(directory,
                     QDir::AllEntries | QDir::Hidden | QDir::System | QDir::NoDotAndDotDot,
                     QDirIterator::Subdirectories);
    while (all.hasNext()) {
        all.next();
        const bool aside = all.fileInfo().isDir()
                && all.fileName().startsWith(QLatin1String("qshm-"));
        files += !aside;
    }
    return files;
}

inline Left left()
{
    Left left;
    left.segments = linesAfterHeader("/proc/sysvipc/shm");
    left.semaphores = linesAfterHeader("/proc/sysvipc/sem");
    left.files = filesBelow(QDir::tempPath());
    if (qgetenv("QSHM_TEST_KIND") == "posix:")
        left.files += filesBelow(QLatin1String("/dev/shm"));
    return left;
}

// A clean start and end in a process of its own; whether it got number 0, and
// so found nothing that still counts.
inline bool startAndEndAlone(Who who, const QString &key)
{
    std::fflush(stdout);
    const pid_t pid = ::fork();
    if (pid == 0) {
        become(who);
        int status = 0;
        {
            QSharedMemory memory;
            key_kind::setKey(memory, key);
            std::mt19937 random;
            const Taken taken = takeNumber(memory, random, 0);
            if (taken.number != 0) {
                std::printf("a start alone: number %d %s\n", taken.number, taken.error);
                std::fflush(stdout);
                status = 1;
            }
        }
        ::_exit(status);
    }
    int status = 0;
    return ::waitpid(pid, &status, 0) == pid && status == 0;
}

// "name=value" among the arguments.
inline long argument(int argc, char **argv, const char *name, long otherwise)
{
    const size_t length = std::strlen(name);
    for (int i = 1; i < argc; ++i) {
        if (!std::strncmp(argv[i], name, length) && argv[i][length] == '=')
            return std::strtol(argv[i] + length + 1, nullptr, 10);
    }
    return otherwise;
}

} // namespace starter

#endif

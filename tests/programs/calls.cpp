// Random sequences of calls on QSharedMemory and QSystemSemaphore. Built with
// Qt and with the drop-in it must print the same lines.
//
//   calls FIRST COUNT LENGTH [posix:|systemv:]
//                              a sequence of LENGTH calls for each seed, with keys
//                              of Qt 6.6 and later where their kind is given
//   calls -                    the calls on standard input
//
// As root each sequence has an IPC namespace and a /dev/shm of its own, and a
// folder of its own for key files in any case. Odd seeds then run as an ordinary user.

#include "calls_actor.h"
#include "calls_generator.h"

#include <QFile>

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

// Long enough for every sequence on a busy machine; one that takes longer hangs.
constexpr unsigned Deadline = 5;
constexpr uid_t OrdinaryUser = 61001;

int rows(const char *table)
{
    QFile file(QString::fromLatin1(table));
    if (!file.open(QIODevice::ReadOnly))
        return -1;
    return int(file.readAll().count('\n')) - 1;
}

void sayWhatIsLeft()
{
    const QDir temp(QDir::tempPath());
    int files = 0;
    for (const char *directory : { ".", "run" })
        files += int(QDir(temp.filePath(QLatin1String(directory)))
                             .entryList(QDir::Files | QDir::System | QDir::Hidden)
                             .size());
    std::printf("# left: %d segments, %d semaphores, %d files\n", rows("/proc/sysvipc/shm"),
                rows("/proc/sysvipc/sem"), files);
}

void sequence(quint64 seed, int length, const QByteArray &kind)
{
    Generator generator(seed, kind);
    Actor actor;
    for (int i = 0; i < length; ++i) {
        const QByteArray call = generator.next(actor);
        generator.made(call, actor.perform(call));
    }
    for (const QByteArray &call : generator.lastCalls(actor))
        actor.perform(call);
    sayWhatIsLeft();
    generator.sayWhatWasLeftOut();
}

// In the child process of one seed.
void enterOwnWorld(const QByteArray &temp, bool ordinary)
{
    mkdir(temp.constData(), 0777);
    chmod(temp.constData(), 01777);
    setenv("TMPDIR", temp.constData(), 1);
    if (chdir(temp.constData()) != 0)
        _exit(3);
    const QByteArray runtime = temp + "/run";
    mkdir(runtime.constData(), 0700);
    setenv("XDG_RUNTIME_DIR", runtime.constData(), 1);
    if (geteuid() == 0 && ordinary && chown(runtime.constData(), OrdinaryUser, OrdinaryUser) != 0)
        _exit(3);
    if (geteuid() != 0)
        return;
    if (unshare(CLONE_NEWIPC | CLONE_NEWNS) != 0
        || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0
        || mount("shm", "/dev/shm", "tmpfs", 0, "mode=1777") != 0)
        _exit(3);
    if (ordinary && (setgid(OrdinaryUser) != 0 || setuid(OrdinaryUser) != 0))
        _exit(3);
}

void seeds(quint64 first, int count, int length, const QByteArray &kind)
{
    const QByteArray temp = QDir::tempPath().toUtf8();
    for (quint64 seed = first; seed < first + quint64(count); ++seed) {
        std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
        std::fflush(stdout);
        const QByteArray own = temp + "/seed-" + QByteArray::number(seed);
        const pid_t child = fork();
        if (child == 0) {
            alarm(Deadline);
            enterOwnWorld(own, seed % 2 == 1);
            sequence(seed, length, kind);
            std::fflush(stdout);
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
            std::printf("\n# hangs\n");
        else if (status != 0)
            std::printf("\n# ended with status %#x\n", unsigned(status));
        QDir(QString::fromUtf8(own)).removeRecursively();
    }
}

void script()
{
    alarm(Deadline);
    Actor actor;
    char line[1024];
    while (std::fgets(line, sizeof line, stdin)) {
        const QByteArray call = QByteArray(line).simplified();
        if (!call.isEmpty() && !call.startsWith('#'))
            actor.perform(call);
    }
}

} // namespace

int main(int argc, char **argv)
{
    if (argc == 4 || argc == 5) {
        seeds(QByteArray(argv[1]).toULongLong(), atoi(argv[2]), atoi(argv[3]), argv[4]);
    } else if (argc == 2 && qstrcmp(argv[1], "-") == 0) {
        script();
    } else {
        std::fprintf(stderr, "usage: calls FIRST COUNT LENGTH | calls -\n");
        return 2;
    }
    return 0;
}

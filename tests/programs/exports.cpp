// Members that Qt's library exports and its headers may have no more: programs that were built with
// an older header call them. Prints what they do.

#include <QFile>
#include <QSharedMemory>
#include <QString>

#include <cstdio>

#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
// setNativeKey(const QString &), from before 6.6; its place in the object is that of any member.
void setNativeKey(QSharedMemory *memory,
                  const QString &key) __asm__("_ZN13QSharedMemory12setNativeKeyERK7QString");
#else
static void setNativeKey(QSharedMemory *memory, const QString &key)
{
    memory->setNativeKey(key);
}
#endif

static void say(const char *what, const QSharedMemory &memory)
{
    std::printf("%s: key '%s' native '%s' attached %d size %d error %d %s\n", what,
                qPrintable(memory.key()), qPrintable(memory.nativeKey()), memory.isAttached(),
                int(memory.size()), int(memory.error()), qPrintable(memory.errorString()));
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    const QString path = QString::fromLocal8Bit(argv[1]);
    QFile(path).open(QIODevice::WriteOnly);
    QSharedMemory memory, other;
    setNativeKey(&memory, path);
    say("set", memory);
    std::printf("create %d\n", memory.create(4));
    say("created", memory);
    setNativeKey(&other, path);
    std::printf("attach %d\n", other.attach());
    say("attached", other);
    setNativeKey(&other, QString());
    say("none", other);
    std::printf("attach %d\n", other.attach());
    say("nothing", other);
    setNativeKey(&other, path);
    std::printf("attach %d detach %d\n", other.attach(), other.detach());
    std::printf("detach %d\n", memory.detach());
    say("detached", memory);
    return 0;
}

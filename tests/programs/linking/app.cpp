// One application, its library and its plugin: whatever objects are made and used in, they are of
// one implementation. Prints "ok NAME" for each check; the exit code is the number of failures.
//
// usage: app qt|qshm|mixed PLUGIN
//
// Compiled with SILENT it does not ask for activeImplementation(), as most applications don't.

#include "linking.h"

#include <QCoreApplication>
#include <QDir>
#include <QFile>
#include <QTranslator>
#include <QVariant>

#include <atomic>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <vector>

Part partOfLibrary();
const char *answerOfLibrary();

namespace {

int failures = 0;

void check(bool good, const char *name)
{
    std::printf("%s %s\n", good ? "ok" : "FAILED", name);
    std::fflush(stdout);
    if (!good)
        ++failures;
}

// Made before main(), and still attached when it is destroyed after main().
class EarlyAndLate
{
public:
    EarlyAndLate() : m_memory(QStringLiteral("linking early"))
    {
        m_attached = m_memory.create(4) && m_memory.lock() && m_memory.unlock();
    }
    ~EarlyAndLate()
    {
        const bool good = m_attached && m_memory.lock() && m_memory.unlock() && m_memory.detach();
        std::printf("%s static object after main\n", good ? "ok" : "FAILED");
        std::fflush(stdout);
        if (!good)
            _exit(1);
    }
    bool attached() const { return m_attached; }
    void leave() { m_memory.detach(); }

private:
    QSharedMemory m_memory;
    bool m_attached = false;
} earlyAndLate;

class Derived : public QSharedMemory
{
public:
    using QSharedMemory::QSharedMemory;
    ~Derived() override { ++destroyed; }
    static int destroyed;
};
int Derived::destroyed = 0;

class WithMoc : public QSharedMemory
{
    Q_OBJECT
    Q_PROPERTY(int answer READ answer)
public:
    using QSharedMemory::QSharedMemory;
    int answer() const { return 42; }
    Q_SIGNAL void happened();
    Q_SLOT void happen() { ++m_times; }
    int m_times = 0;
};

// Whether nobody is attached to the key's segment any more.
bool isFree(const QString &key)
{
    QSharedMemory memory(key);
    return !memory.attach() && memory.error() == QSharedMemory::NotFound;
}

struct Shouting : QTranslator
{
    QString translate(const char *context, const char *text, const char *disambiguation,
                      int) const override
    {
        const bool ours = std::strcmp(context, "QSharedMemory") == 0
                || std::strcmp(context, "QSystemSemaphore") == 0
                || (disambiguation && std::strcmp(disambiguation, "QSystemSemaphore") == 0);
        return ours ? QString::fromLatin1(text).toUpper() : QString();
    }
    bool isEmpty() const override { return false; }
};

void checkObjects()
{
    const QString key = QStringLiteral("linking objects");
    {
        QSharedMemory memory(key);
        check(memory.create(4) && useMemory(&memory), "object on the stack");
    }
    check(isFree(key), "object on the stack lets go");

    {
        QObject parent;
        auto *child = new QSharedMemory(key, &parent);
        check(child->create(4) && child->parent() == &parent && recognises(child),
              "object with a parent");
    }
    check(isFree(key), "deleted by its parent it lets go");

    int signalled = 0;
    auto parent = std::make_unique<QObject>();
    auto *const used = new QSharedMemory(key, parent.get());
    used->create(4);
    QObject::connect(used, &QObject::objectNameChanged, [&] { ++signalled; });
    QObject::connect(used, &QObject::destroyed, [&] { ++signalled; });
    used->setObjectName(QStringLiteral("used"));
    parent.reset();
    check(signalled == 2 && isFree(key), "signals of an object in use");

    Derived::destroyed = 0;
    QObject *base = new Derived(key);
    check(static_cast<Derived *>(base)->create(4), "subclass without Q_OBJECT");
    delete base;
    check(Derived::destroyed == 1 && isFree(key), "deleted as a QObject it lets go");

    auto moc = std::make_unique<WithMoc>(key);
    QObject::connect(moc.get(), &WithMoc::happened, moc.get(), &WithMoc::happen);
    emit moc->happened();
    check(moc->create(4) && moc->m_times == 1 && moc->property("answer") == 42
                  && moc->inherits("QSharedMemory")
                  && qobject_cast<QSharedMemory *>(static_cast<QObject *>(moc.get()))
                  && moc->metaObject()->superClass() == &QSharedMemory::staticMetaObject,
          "subclass with Q_OBJECT");
    moc.reset();
    check(isFree(key), "subclass with Q_OBJECT lets go");

    QSharedMemory memory;
    check(std::strcmp(memory.metaObject()->className(), "QSharedMemory") == 0
                  && memory.qt_metacast("QObject") == &memory && !memory.qt_metacast("QTimer")
                  && !memory.qt_metacast(nullptr)
                  && memory.metaObject()->methodCount() == QObject::staticMetaObject.methodCount(),
          "meta object");
    check(memory.setProperty("name", 1) == false && memory.property("name") == 1,
          "dynamic property");
    memory.setKey(key);
    check(memory.key() == key
                  && memory.nativeKey()
                          == QDir::tempPath() + QLatin1String("/qipc_sharedmemory_linkingobjects")
                                  + memory.nativeKey().right(40),
          "native key");
    check(memory.create(4), "member called after setKey");
    {
        const std::lock_guard<QSharedMemory> guard(memory);
        *static_cast<char *>(memory.data()) = 42;
    }
    check(reads42(key), "std::lock_guard");
}

void checkPart(const Part &part, const char *name)
{
    const auto checkHere = [name](bool good, const char *what) {
        check(good, (QByteArray(what) + " the " + name).constData());
    };
    const QString key = QStringLiteral("linking parts");
    {
        const std::unique_ptr<QSharedMemory> made(part.make(key, nullptr));
        checkHere(useMemory(made.get()), "used here, made in");
        checkHere(recognises(made.get()), "recognised here, made in");
    }
    checkHere(isFree(key), "deleted here, made in");
    {
        QObject parent;
        part.make(key, &parent);
    }
    checkHere(isFree(key), "deleted by a parent of here, made in");
    {
        QSharedMemory here(key);
        here.create(4);
        *static_cast<char *>(here.data()) = 42;
        checkHere(part.use(&here), "made here, used in");
        checkHere(part.recognises(&here), "made here, recognised in");
        checkHere(part.reads42(key), "written here, read in");
    }
    {
        const std::unique_ptr<QSystemSemaphore> semaphore(part.makeSemaphore(key));
        checkHere(semaphore->acquire() && semaphore->release()
                          && semaphore->error() == QSystemSemaphore::NoError,
                  "semaphore made in");
    }
    part.itsStatic()->setKey(QStringLiteral("linking early"));
    checkHere(part.itsStatic()->attach() && useMemory(part.itsStatic()), "static object of");
}

void checkSemaphore()
{
    QSystemSemaphore semaphore(QStringLiteral("linking semaphore"), 2, QSystemSemaphore::Create);
    check(semaphore.key() == QLatin1String("linking semaphore") && semaphore.acquire()
                  && semaphore.acquire() && semaphore.release(2) && semaphore.release(0),
          "semaphore");
    QSystemSemaphore nameless((QString()), 0, QSystemSemaphore::Create);
    check(nameless.error() == QSystemSemaphore::KeyError
                  && nameless.errorString().startsWith(
                          QLatin1String("QSystemSemaphore::handle:: key is empty")),
          "semaphore without a key");
}

void checkTranslation()
{
    Shouting translator;
    QCoreApplication::installTranslator(&translator);
    QSharedMemory memory(QStringLiteral("linking translation"));
    memory.create(0);
    check(memory.errorString().startsWith(
                  QLatin1String("QSharedMemory::create: CREATE SIZE IS LESS THEN 0")),
          "translated error");
    QSystemSemaphore semaphore((QString()), 0, QSystemSemaphore::Create);
    check(semaphore.errorString().startsWith(
                  QLatin1String("QSystemSemaphore::handle:: KEY IS EMPTY")),
          "translated error of a semaphore");
    check(QSharedMemory::tr("some text") == QLatin1String("SOME TEXT"), "tr()");
    QCoreApplication::removeTranslator(&translator);
}

// Objects come and go in one thread while others are used in another.
void checkThreads()
{
    std::atomic<int> wrong { 0 };
    const auto work = [&wrong](int number) {
        const QString key = QStringLiteral("linking thread %1").arg(number);
        QSharedMemory lasting(key);
        if (!lasting.create(4))
            ++wrong;
        for (int i = 0; i < 1000; ++i) {
            const auto passing = std::make_unique<QSharedMemory>(key);
            if (passing->isAttached() || !lasting.isAttached() || passing->key() != key)
                ++wrong;
        }
    };
    std::vector<std::thread> threads;
    for (int number = 0; number < 4; ++number)
        threads.emplace_back(work, number);
    for (std::thread &thread : threads)
        thread.join();
    check(wrong == 0, "objects in several threads");
}

int countOf(const char *directory)
{
    return int(QDir(QString::fromLatin1(directory))
                       .entryList(QDir::NoDotAndDotDot | QDir::AllEntries | QDir::System)
                       .size());
}

const char *answer()
{
#ifdef SILENT
    QSharedMemory memory;
    return memory.qt_metacast("qshm::dropin::QSharedMemory") ? "qshm" : "qt";
#else
    return nameOf(qshm::activeImplementation());
#endif
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::fprintf(stderr, "usage: app qt|qshm|mixed PLUGIN\n");
        return 2;
    }
    const char *const implementation = answer();
    std::printf("# %s\n", implementation);
    check(std::strcmp(implementation, argv[1]) == 0, "active implementation");
    if (const char *const there = answerOfLibrary())
        check(std::strcmp(implementation, there) == 0, "active implementation in the library");
    if (std::strcmp(implementation, "mixed") == 0) {
        // Anything more might crash, which is the point of asking.
        earlyAndLate.leave();
        _exit(failures);
    }

    check(earlyAndLate.attached(), "static object before main");
    checkObjects();
    QCoreApplication application(argc, argv);
    const int descriptors = countOf("/proc/self/fd");
    checkObjects();
    checkSemaphore();
    checkTranslation();
    checkThreads();
    check(countOf("/proc/self/fd") == descriptors, "no descriptor left open");
    check(countOf("/proc/self/task") == 1, "no thread");
    checkPart(partOfLibrary(), "library");
    if (void *const plugin = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL)) {
        const auto part = reinterpret_cast<Part (*)()>(dlsym(plugin, "partOfPlugin"));
        checkPart(part(), "plugin");
    } else {
        std::fprintf(stderr, "%s\n", dlerror());
        check(false, "plugin loads");
    }
    return failures;
}

#include "app.moc"

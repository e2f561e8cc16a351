// Succeeds if qshm's QSharedMemory, and only that one, is in the program, its
// library and its plug-ins.
#include "probe.h"

#include <qshm/dropin.h>

#include <cstdio>
#include <memory>

extern "C" const char *libraryOwner();
extern "C" QSharedMemory *libraryMake();
extern "C" bool libraryUse(QSharedMemory *memory);

static QSharedMemory staticObject;
static int failures = 0;

static void expect(bool good, const char *what, const std::string &detail = {})
{
    if (!good) {
        std::printf("wrong: %s %s\n", what, detail.c_str());
        ++failures;
    }
}

// Makes an object on one side and uses and deletes it on the other.
static void exchange(const char *where, QSharedMemory *(*make)(), bool (*use)(QSharedMemory *))
{
    const std::unique_ptr<QSharedMemory> theirs(make());
    expect(theirs->isAttached() || !theirs->detach(), "object made by", where);
    QSharedMemory ours(QStringLiteral("qshm cmake test"));
    expect(use(&ours), "object used by", where);
}

static void checkPlugin(const char *file, const std::string &owner)
{
    void *plugin = dlopen(file, RTLD_NOW);
    expect(plugin != nullptr, "dlopen", file);
    if (plugin == nullptr)
        return;
    const auto pluginOwner = reinterpret_cast<const char *(*)()>(dlsym(plugin, "libraryOwner"));
    expect(pluginOwner() == owner, "plug-in gets", pluginOwner());
    exchange(file, reinterpret_cast<QSharedMemory *(*)()>(dlsym(plugin, "libraryMake")),
             reinterpret_cast<bool (*)(QSharedMemory *)>(dlsym(plugin, "libraryUse")));
}

int main(int, char **argv)
{
    expect(qshm::activeImplementation() == qshm::Implementation::Qshm, "activeImplementation()");
    const std::string owner = ownerOfAttach();
    expect(owner == argv[0], "the program gets", owner);
    expect(libraryOwner() == owner, "the library gets", libraryOwner());
    exchange("the library", libraryMake, libraryUse);
    checkPlugin(PLUGIN_WITH, owner);
    checkPlugin(PLUGIN_WITHOUT, owner);
    expect(!staticObject.isAttached(), "static object");
    return failures == 0 ? 0 : 1;
}

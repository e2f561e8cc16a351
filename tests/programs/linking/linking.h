// What the three parts of the linking test know of each other.
#ifndef LINKING_H
#define LINKING_H

#include <QSharedMemory>
#include <QSystemSemaphore>

#include <cstdio>

#ifndef SILENT
#    include <qshm/dropin.h>

inline const char *nameOf(qshm::Implementation implementation)
{
    switch (implementation) {
    case qshm::Implementation::Qt: return "qt";
    case qshm::Implementation::Qshm: return "qshm";
    case qshm::Implementation::Mixed: break;
    }
    return "mixed";
}
#endif

#define EXPORTED __attribute__((visibility("default")))

/// The application's own shared library and its plugin both have these.
struct Part
{
    /// An object made there, attached to `key`, for others to use and delete.
    QSharedMemory *(*make)(const QString &key, QObject *parent);
    /// Whether an object made elsewhere, attached to at least four bytes, works there.
    bool (*use)(QSharedMemory *memory);
    /// Whether an object on the stack there sees the value 42 in the segment of this key.
    bool (*reads42)(const QString &key);
    /// Whether what is a QSharedMemory here is one there.
    bool (*recognises)(QObject *object);
    QSystemSemaphore *(*makeSemaphore)(const QString &key);
    /// A QSharedMemory that is static there.
    QSharedMemory *(*itsStatic)();
};

// In each part once: what is inline has to be compiled into it, not shared.
namespace {

inline QSharedMemory *makeMemory(const QString &key, QObject *parent)
{
    auto *memory = new QSharedMemory(key, parent);
    if (!memory->create(4))
        memory->attach();
    return memory;
}

inline bool useMemory(QSharedMemory *memory)
{
    bool (QSharedMemory::*const lock)() = &QSharedMemory::lock;
    return memory->isAttached() && memory->size() >= 4 && memory->constData() == memory->data()
            && (memory->*lock)() && memory->unlock() && !memory->create(4)
            && memory->error() == QSharedMemory::AlreadyExists
            && memory->errorString().startsWith(
                    QLatin1String("QSharedMemory::create: already exists"));
}

inline bool reads42(const QString &key)
{
    QSharedMemory memory(key);
    return memory.attach(QSharedMemory::ReadOnly)
            && *static_cast<const char *>(memory.constData()) == 42 && memory.detach();
}

inline bool recognises(QObject *object)
{
    return qobject_cast<QSharedMemory *>(object) && dynamic_cast<QSharedMemory *>(object)
            && object->metaObject() == &QSharedMemory::staticMetaObject;
}

inline QSystemSemaphore *makeSemaphore(const QString &key)
{
    return new QSystemSemaphore(key, 1, QSystemSemaphore::Create);
}

inline QSharedMemory *itsStatic()
{
    static QSharedMemory memory;
    return &memory;
}

inline Part thisPart()
{
    return { makeMemory, useMemory, reads42, recognises, makeSemaphore, itsStatic };
}

} // namespace

#endif

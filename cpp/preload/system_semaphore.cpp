// QSystemSemaphore as the preload library exports it: all of it but what is static.

#include "maker.h"

#include "../qt/object_table.h"

#include <qshm/system_semaphore.h>

#include <memory>

class QNativeIpcKey;
class QString;

class [[gnu::visibility("default")]] QSystemSemaphore
{
public:
    enum AccessMode { Open, Create };

    QSystemSemaphore(const QString &key, int initialValue, AccessMode mode);
    QSystemSemaphore(const QNativeIpcKey &key, int initialValue, AccessMode mode);
    ~QSystemSemaphore();

    void setKey(const QString &key, int initialValue, AccessMode mode);
    void setNativeKey(const QNativeIpcKey &key, int initialValue, AccessMode mode);
    qshm::preload::Returned key() const;
    qshm::preload::RawIpcKey nativeIpcKey() const;
    bool acquire();
    bool release(int n);
    int error() const;
    qshm::preload::Returned errorString() const;

private:
    // Qt's own private part; nothing is done with it here.
    void *d;
};

namespace qshm {
namespace preload {

namespace {

// An object that is served.
class Served
{
public:
    explicit Served(const LoadedQt &qt) : m_qt(qt), m_ipcKey(qt.strings(), 0)
    {
        qt.strings().makeNull(&m_key);
    }
    ~Served()
    {
        m_qt.strings().release(&m_key);
        if (m_qt.ipcKeys())
            m_qt.ipcKeys()->release(&m_ipcKey);
    }
    Served(const Served &) = delete;
    Served &operator=(const Served &) = delete;

    // The first key, from the constructor.
    void begin(const Raw &key, int initialValue, OpenMode mode)
    {
        if (const IpcKeys *const keys = m_qt.ipcKeys()) {
            const IpcKey ipcKey(*keys, [&] { return keys->legacySemaphoreKey(key); });
            begin(ipcKey.raw(), initialValue, mode);
        } else {
            setKey(key, initialValue, mode);
        }
    }
    void begin(const RawIpcKey &key, int initialValue, OpenMode mode)
    {
        // Qt begins with a key of this type that has no name.
        m_ipcKey.setType(key.type());
        if (m_qt.ipcKeys()->isEmpty(key) && mode == OpenMode::Open)
            m_semaphore.setNativeKey(key.type(), {});
        else
            setKey(key, initialValue, mode);
    }

    void setKey(const Raw &key, int initialValue, OpenMode mode)
    {
        const Strings &strings = m_qt.strings();
        if (const IpcKeys *const keys = m_qt.ipcKeys()) {
            const IpcKey ipcKey(*keys, [&] { return keys->legacySemaphoreKey(key); });
            setKey(ipcKey.raw(), initialValue, mode);
            return;
        }
        // As with all strings of Qt, null and empty are equal.
        if (mode == OpenMode::Open && strings.areEqual(key, m_key))
            return;
        strings.assign(&m_key, key);
        if (strings.isNull(key))
            m_semaphore.clearKey(mode);
        else
            m_semaphore.setKey(strings.utf8(key), m_qt.tempPath(), initialValue, mode);
    }
    void setKey(const RawIpcKey &key, int initialValue, OpenMode mode)
    {
        const IpcKeys &keys = *m_qt.ipcKeys();
        const Strings &strings = m_qt.strings();
        if (mode == OpenMode::Open && keys.areEqual(key, m_ipcKey))
            return;
        if (keys.isSupported(key.type())) {
            keys.release(&m_ipcKey);
            keys.copy(&m_ipcKey, key);
            const Text legacy(strings, [&] { return keys.legacyKeyOf(key); });
            strings.assign(&m_key, legacy.raw());
        }
        m_semaphore.setNativeKey(key.type(), strings.local8Bit(key.name()), initialValue, mode);
    }

    Returned key() const { return Returned(m_qt.strings(), m_key); }
    RawIpcKey ipcKey() const { return RawIpcKey(*m_qt.ipcKeys(), m_ipcKey); }
    Returned errorString() const
    {
        const Error error = m_semaphore.error();
        return m_qt.textOf(error, qt::semaphoreContextOf(error.code, m_qt.major()));
    }
    qshm::SystemSemaphore &semaphore() { return m_semaphore; }

private:
    const LoadedQt &m_qt;
    qshm::SystemSemaphore m_semaphore;
    Raw m_key;
    // Only in Qt 6.6 and later.
    RawIpcKey m_ipcKey;
};

struct State
{
    // For an object that is not served, and for the part of Qt's that every object has.
    const SemaphoreMembers &members;
    std::unique_ptr<Served> served;
};

qt::ObjectTable states;

State *stateOf(const void *object)
{
    return static_cast<State *>(states.find(object));
}

Served *servedOf(const void *object)
{
    const State *const state = stateOf(object);
    return state ? state->served.get() : nullptr;
}

const SemaphoreMembers &membersOf(const void *object, const void *caller)
{
    const State *const state = stateOf(object);
    return state ? state->members : *semaphoreMakerOf(caller).members;
}

// Gives an object its state. One that is served gets a part of Qt's without a key: with one, Qt's
// constructor would make a semaphore; with none at all, the object would not be whole for whoever
// does not come by here. The others are left to be constructed: then it is null.
Served *begin(void *object, const SemaphoreMaker &maker, const void *caller)
{
    // A part of an object of Qt's own, which sees no other caller than Qt.
    if (LoadedQt::callingFrom(caller))
        return nullptr;
    auto state = std::make_unique<State>(State { *maker.members, nullptr });
    if (maker.served) {
        maker.members->construct(object, maker.served->strings().null(), 0, 0);
        state->served = std::make_unique<Served>(*maker.served);
    }
    Served *const served = state->served.get();
    states.insert(object, state.release());
    return served;
}

} // namespace

} // namespace preload
} // namespace qshm

// Where the function was called from.
#define CALLER __builtin_return_address(0)

using namespace qshm::preload;

QSystemSemaphore::QSystemSemaphore(const QString &key, int initialValue, AccessMode mode)
{
    const auto &raw = reinterpret_cast<const Raw &>(key);
    const SemaphoreMaker maker = semaphoreMakerOf(CALLER);
    if (Served *const served = begin(this, maker, CALLER))
        served->begin(raw, initialValue, qshm::qt::openModeOf(mode));
    else
        maker.members->construct(this, raw, initialValue, mode);
}

QSystemSemaphore::QSystemSemaphore(const QNativeIpcKey &key, int initialValue, AccessMode mode)
{
    const auto &raw = reinterpret_cast<const RawIpcKey &>(key);
    const SemaphoreMaker maker = semaphoreMakerOf(CALLER);
    if (Served *const served = begin(this, maker, CALLER))
        served->begin(raw, initialValue, qshm::qt::openModeOf(mode));
    else
        maker.members->constructWithIpcKey(this, raw, initialValue, mode);
}

QSystemSemaphore::~QSystemSemaphore()
{
    const SemaphoreMembers &members = membersOf(this, CALLER);
    delete static_cast<State *>(states.take(this));
    members.destroy(this);
}

void QSystemSemaphore::setKey(const QString &key, int initialValue, AccessMode mode)
{
    const auto &raw = reinterpret_cast<const Raw &>(key);
    if (Served *const served = servedOf(this))
        served->setKey(raw, initialValue, qshm::qt::openModeOf(mode));
    else
        membersOf(this, CALLER).setKey(this, raw, initialValue, mode);
}

void QSystemSemaphore::setNativeKey(const QNativeIpcKey &key, int initialValue, AccessMode mode)
{
    const auto &raw = reinterpret_cast<const RawIpcKey &>(key);
    if (Served *const served = servedOf(this))
        served->setKey(raw, initialValue, qshm::qt::openModeOf(mode));
    else
        membersOf(this, CALLER).setIpcKey(this, raw, initialValue, mode);
}

Returned QSystemSemaphore::key() const
{
    const Served *const served = servedOf(this);
    return served ? served->key() : membersOf(this, CALLER).key(this);
}

RawIpcKey QSystemSemaphore::nativeIpcKey() const
{
    const Served *const served = servedOf(this);
    return served ? served->ipcKey() : membersOf(this, CALLER).ipcKey(this);
}

bool QSystemSemaphore::acquire()
{
    Served *const served = servedOf(this);
    return served ? served->semaphore().acquire() : membersOf(this, CALLER).acquire(this);
}

bool QSystemSemaphore::release(int n)
{
    Served *const served = servedOf(this);
    return served ? served->semaphore().release(n) : membersOf(this, CALLER).release(this, n);
}

int QSystemSemaphore::error() const
{
    Served *const served = servedOf(this);
    return served ? qshm::qt::semaphoreErrorOf(served->semaphore().error().code)
                  : membersOf(this, CALLER).error(this);
}

Returned QSystemSemaphore::errorString() const
{
    const Served *const served = servedOf(this);
    return served ? served->errorString() : membersOf(this, CALLER).errorString(this);
}

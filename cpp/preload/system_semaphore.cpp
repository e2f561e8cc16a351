// QSystemSemaphore as the preload library exports it: all of it but what is static.

#include "maker.h"

#include "../qt/object_table.h"

#include <qshm/system_semaphore.h>

#include <memory>

class QString;

class [[gnu::visibility("default")]] QSystemSemaphore
{
public:
    enum AccessMode { Open, Create };

    QSystemSemaphore(const QString &key, int initialValue, AccessMode mode);
    ~QSystemSemaphore();

    void setKey(const QString &key, int initialValue, AccessMode mode);
    qshm::preload::Raw key() const;
    bool acquire();
    bool release(int n);
    int error() const;
    qshm::preload::Raw errorString() const;

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
    explicit Served(const LoadedQt &qt) : m_qt(qt), m_key(qt.strings()) { }
    ~Served() { m_qt.strings().release(&m_key); }
    Served(const Served &) = delete;
    Served &operator=(const Served &) = delete;

    void setKey(const Raw &key, int initialValue, OpenMode mode)
    {
        const Strings &strings = m_qt.strings();
        const std::string bytes = strings.utf8(key);
        // As with strings of Qt, null and empty are the same here.
        if (bytes == m_bytes && mode == OpenMode::Open)
            return;
        m_bytes = bytes;
        strings.assign(&m_key, key);
        if (strings.isNull(key))
            m_semaphore.clearKey(mode);
        else
            m_semaphore.setKey(bytes, m_qt.tempPath(), initialValue, mode);
    }
    Raw key() const { return Raw(m_qt.strings(), m_key); }
    Raw errorString() const
    {
        const Error error = m_semaphore.error();
        return m_qt.textOf(error, qt::semaphoreContextOf(error.code, m_qt.major()));
    }
    qshm::SystemSemaphore &semaphore() { return m_semaphore; }

private:
    const LoadedQt &m_qt;
    qshm::SystemSemaphore m_semaphore;
    Raw m_key;
    std::string m_bytes;
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

} // namespace

} // namespace preload
} // namespace qshm

// Where the function was called from.
#define CALLER __builtin_return_address(0)

using namespace qshm::preload;

QSystemSemaphore::QSystemSemaphore(const QString &key, int initialValue, AccessMode mode)
{
    const Raw &raw = reinterpret_cast<const Raw &>(key);
    const SemaphoreMaker maker = semaphoreMakerOf(CALLER);
    auto state = std::make_unique<State>(State { *maker.members, nullptr });
    if (maker.served) {
        // Qt's own constructor makes a semaphore, except for an object without a key. With that,
        // the object is whole for whoever does not come by here.
        maker.members->construct(this, maker.served->strings().null(), 0, Open);
        state->served = std::make_unique<Served>(*maker.served);
        state->served->setKey(raw, initialValue, qshm::qt::openModeOf(mode));
    } else {
        maker.members->construct(this, raw, initialValue, mode);
    }
    states.insert(this, state.release());
}

QSystemSemaphore::~QSystemSemaphore()
{
    const SemaphoreMembers &members = membersOf(this, CALLER);
    delete static_cast<State *>(states.take(this));
    members.destroy(this);
}

void QSystemSemaphore::setKey(const QString &key, int initialValue, AccessMode mode)
{
    const Raw &raw = reinterpret_cast<const Raw &>(key);
    if (Served *const served = servedOf(this))
        served->setKey(raw, initialValue, qshm::qt::openModeOf(mode));
    else
        membersOf(this, CALLER).setKey(this, raw, initialValue, mode);
}

Raw QSystemSemaphore::key() const
{
    const Served *const served = servedOf(this);
    return served ? served->key() : membersOf(this, CALLER).key(this);
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

Raw QSystemSemaphore::errorString() const
{
    const Served *const served = servedOf(this);
    return served ? served->errorString() : membersOf(this, CALLER).errorString(this);
}

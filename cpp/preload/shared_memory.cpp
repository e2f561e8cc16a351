// QSharedMemory as the preload library exports it.
//
// Constructors, keys and the meta object stay Qt's, so that an object has all that Qt gave it.
// What takes part in IPC comes from here, since the dynamic linker finds these names first.

#include "destructors.h"
#include "maker.h"

#include "../qt/object_table.h"

#include <qshm/shared_memory.h>

class QNativeIpcKey;
class QString;

class [[gnu::visibility("default")]] QSharedMemory
{
public:
    enum AccessMode { ReadOnly, ReadWrite };

    void setKey(const QString &key);
    void setNativeKey(const QString &key);
    void setNativeKey(const QNativeIpcKey &key);
    bool create(int size, AccessMode mode);
    bool create(long long size, AccessMode mode);
    bool attach(AccessMode mode);
    bool detach();
    bool isAttached() const;
    void *data();
    const void *data() const;
    const void *constData() const;
    // An int in Qt 5: half of it.
    std::int64_t size() const;
    bool lock();
    bool unlock();
    int error() const;
    qshm::preload::Returned errorString() const;
};

// Where the function was called from.
#define CALLER __builtin_return_address(0)

namespace qshm {
namespace preload {

namespace {

struct State
{
    const LoadedQt &qt;
    qshm::SharedMemory memory;
    // As Qt has them, to see whether they change.
    std::string key;
    std::string nativeKey;
};

qt::ObjectTable states;

State *stateOf(const void *object)
{
    return static_cast<State *>(states.find(object));
}

// Qt's own members, for what is not ours. They also have the right answers for an object that
// has never been used: its own part was never attached to anything.
const MemoryMembers &membersOf(const void *object, const void *caller)
{
    return *makerOf(object, caller).members;
}

enum class Set { Key, NativeKey };

// Takes over the key that Qt has made, up to 6.5: if it is another one than before.
void takeTextKey(State &state, const void *object, Set set)
{
    const MemoryMembers &members = state.qt.memory();
    const Text key(state.qt.strings(), [&] { return members.key(object); });
    const Text native(state.qt.strings(), [&] { return members.nativeKey(object); });
    std::string keyBytes = key.utf8();
    std::string nativeBytes = native.local8Bit();
    if (keyBytes == state.key && nativeBytes == state.nativeKey)
        return;
    state.key = std::move(keyBytes);
    state.nativeKey = std::move(nativeBytes);
    if (!key.isNull()) {
        // The file of the key is in the temp directory that was in force when it was set; its
        // name has no slash in it.
        const std::size_t slash = state.nativeKey.rfind('/');
        const std::string temp = state.nativeKey.substr(0, slash == std::string::npos ? 0 : slash);
        state.memory.setKey(state.key, temp);
    } else if (set == Set::NativeKey) {
        state.memory.setNativeKey(state.nativeKey);
    } else {
        state.memory.clearKey();
    }
}

// The same from 6.6 on, where also the same key is a new one.
void takeIpcKey(State &state, const void *object)
{
    const MemoryMembers &members = state.qt.memory();
    const IpcKey key(*state.qt.ipcKeys(), [&] { return members.ipcKey(object); });
    const Text legacy(state.qt.strings(), [&] { return members.key(object); });
    const std::uint16_t type = key.raw().type();
    const IpcKey lock(*state.qt.ipcKeys(),
                      [&] { return state.qt.ipcKeys()->legacySemaphoreKey(legacy.raw(), type); });
    state.memory.setNativeKey(type, state.qt.strings().local8Bit(key.raw().name()),
                              state.qt.strings().local8Bit(lock.raw().name()));
}

// The state of an object that is about to be used; null if the object is left to Qt.
State *use(void *object, const void *caller)
{
    if (State *const state = stateOf(object))
        return state;
    const LoadedQt *const qt = makerOf(object, caller).served;
    if (!qt)
        return nullptr;
    auto *const state = new State { *qt, {}, {}, {} };
    if (qt->ipcKeys())
        takeIpcKey(*state, object);
    else
        takeTextKey(*state, object, Set::NativeKey);
    states.insert(object, state);
    qt->vtable().giveTo(object);
    return state;
}

// Lets go of everything, before Qt's destructor takes what is its own.
void end(void *object)
{
    delete static_cast<State *>(states.take(object));
}

// Has Qt set a key, by the one of these members that `setInQt` calls, and takes it over.
template <typename SetInQt>
void setKey(void *object, Set set, const void *caller, SetInQt setInQt)
{
    const MemoryMembers &members = membersOf(object, caller);
    // What an object answers also depends on the keys that it has had. Constructors and
    // destructors of Qt may come by here as well.
    State *const state = LoadedQt::callingFrom(caller) ? nullptr : use(object, caller);
    if (!state) {
        setInQt(members);
        return;
    }
    const IpcKeys *const keys = state->qt.ipcKeys();
    if (!keys) {
        setInQt(members);
        takeTextKey(*state, object, set);
        return;
    }
    const IpcKey before(*keys, [&] { return members.ipcKey(object); });
    setInQt(members);
    const IpcKey after(*keys, [&] { return members.ipcKey(object); });
    if (!keys->isEmpty(after.raw()) || !keys->areEqual(before.raw(), after.raw()))
        takeIpcKey(*state, object);
}

bool create(void *object, std::int64_t size, int mode, const void *caller)
{
    if (State *const state = use(object, caller))
        return state->memory.create(size, qt::accessModeOf(mode));
    return membersOf(object, caller).create(object, size, mode);
}

const void *constData(const void *object, const void *caller)
{
    const State *const state = stateOf(object);
    return state ? state->memory.constData() : membersOf(object, caller).constData(object);
}

} // namespace

void deleteMemory(void *object)
{
    const MemoryMembers &members = membersOf(object, CALLER);
    end(object);
    members.deleteObject(object);
}

void destroyMemory(void *object)
{
    const MemoryMembers &members = membersOf(object, CALLER);
    end(object);
    members.destroy(object);
}

void destroyMemoryBase(void *object)
{
    const MemoryMembers &members = membersOf(object, CALLER);
    end(object);
    members.destroyBase(object);
}

} // namespace preload
} // namespace qshm

using namespace qshm::preload;

void QSharedMemory::setKey(const QString &key)
{
    qshm::preload::setKey(this, Set::Key, CALLER, [&](const MemoryMembers &qts) {
        qts.setKey(this, reinterpret_cast<const Raw &>(key));
    });
}

void QSharedMemory::setNativeKey(const QString &key)
{
    qshm::preload::setKey(this, Set::NativeKey, CALLER, [&](const MemoryMembers &qts) {
        qts.setNativeKey(this, reinterpret_cast<const Raw &>(key));
    });
}

void QSharedMemory::setNativeKey(const QNativeIpcKey &key)
{
    const auto &raw = reinterpret_cast<const RawIpcKey &>(key);
    State *const state = LoadedQt::callingFrom(CALLER) ? nullptr : use(this, CALLER);
    if (state && !state->qt.ipcKeys()->isSupported(raw.type())) {
        state->memory.setNativeKey(raw.type(), {});
        return;
    }
    qshm::preload::setKey(this, Set::NativeKey, CALLER,
                          [&](const MemoryMembers &qts) { qts.setIpcKey(this, raw); });
}

bool QSharedMemory::create(int size, AccessMode mode)
{
    return qshm::preload::create(this, size, mode, CALLER);
}

bool QSharedMemory::create(long long size, AccessMode mode)
{
    return qshm::preload::create(this, size, mode, CALLER);
}

bool QSharedMemory::attach(AccessMode mode)
{
    if (State *const state = use(this, CALLER))
        return state->memory.attach(qshm::qt::accessModeOf(mode));
    return membersOf(this, CALLER).attach(this, mode);
}

bool QSharedMemory::detach()
{
    State *const state = stateOf(this);
    return state ? state->memory.detach() : membersOf(this, CALLER).detach(this);
}

bool QSharedMemory::isAttached() const
{
    const State *const state = stateOf(this);
    return state ? state->memory.isAttached() : membersOf(this, CALLER).isAttached(this);
}

void *QSharedMemory::data()
{
    State *const state = stateOf(this);
    return state ? state->memory.data() : membersOf(this, CALLER).data(this);
}

const void *QSharedMemory::data() const
{
    return qshm::preload::constData(this, CALLER);
}

const void *QSharedMemory::constData() const
{
    return qshm::preload::constData(this, CALLER);
}

std::int64_t QSharedMemory::size() const
{
    const State *const state = stateOf(this);
    return state ? std::int64_t(state->memory.size()) : membersOf(this, CALLER).size(this);
}

bool QSharedMemory::lock()
{
    if (State *const state = use(this, CALLER))
        return state->memory.lock();
    return membersOf(this, CALLER).lock(this);
}

bool QSharedMemory::unlock()
{
    State *const state = stateOf(this);
    return state ? state->memory.unlock() : membersOf(this, CALLER).unlock(this);
}

int QSharedMemory::error() const
{
    const State *const state = stateOf(this);
    return state ? qshm::qt::memoryErrorOf(state->memory.error().code)
                 : membersOf(this, CALLER).error(this);
}

Returned QSharedMemory::errorString() const
{
    const State *const state = stateOf(this);
    if (!state)
        return membersOf(this, CALLER).errorString(this);
    return state->qt.textOf(state->memory.error(), { "QSharedMemory", nullptr });
}

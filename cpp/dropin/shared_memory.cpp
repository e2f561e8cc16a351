// Qt's QSharedMemory, defined by qshm.
//
// The class is that of the application's own Qt headers, so that whatever was compiled with them
// fits: the linker takes these definitions and leaves Qt's. metaObject() is the first virtual
// member that is not inline, so defining it makes the vtable come from here as well; without
// that, a parent's delete would lead to Qt's destructor. The meta object itself is Qt's.

#include "../qt/codes.h"
#include "shared_memory_state.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qsharedmemory.h>

#include <cstring>
#include <memory>

QT_BEGIN_NAMESPACE

namespace {

#if QT_VERSION < QT_VERSION_CHECK(6, 0, 0)
using Size = int;
#else
using Size = qsizetype;
#endif

using qshm::dropin::State;
using qshm::dropin::stateOf;

static_assert(sizeof(QSharedMemory) == sizeof(QObject),
              "the state is in a table because the object has no room for it");

qshm::qt::ObjectTable states;

void newState(const QSharedMemory *object)
{
    qshm::dropin::prepare();
    auto state = std::make_unique<State>();
    states.insert(object, state.get());
    static_cast<void>(state.release());
}

static_assert(qshm::qt::accessModeOf(QSharedMemory::ReadOnly) == qshm::AccessMode::ReadOnly
              && qshm::qt::accessModeOf(QSharedMemory::ReadWrite) == qshm::AccessMode::ReadWrite);

constexpr QSharedMemory::SharedMemoryError errorOf(qshm::ErrorCode code)
{
    return QSharedMemory::SharedMemoryError(qshm::qt::memoryErrorOf(code));
}

static_assert(errorOf(qshm::ErrorCode::NoError) == QSharedMemory::NoError
              && errorOf(qshm::ErrorCode::PermissionDenied) == QSharedMemory::PermissionDenied
              && errorOf(qshm::ErrorCode::InvalidSize) == QSharedMemory::InvalidSize
              && errorOf(qshm::ErrorCode::KeyError) == QSharedMemory::KeyError
              && errorOf(qshm::ErrorCode::AlreadyExists) == QSharedMemory::AlreadyExists
              && errorOf(qshm::ErrorCode::NotFound) == QSharedMemory::NotFound
              && errorOf(qshm::ErrorCode::LockError) == QSharedMemory::LockError
              && errorOf(qshm::ErrorCode::OutOfResources) == QSharedMemory::OutOfResources
              && errorOf(qshm::ErrorCode::UnknownError) == QSharedMemory::UnknownError);

} // namespace

// An object may have no state: Qt's constructor made it, in a program that is linked wrongly. It
// then behaves as one without a key, which beats a crash; activeImplementation() tells.

qshm::dropin::State *qshm::dropin::stateOf(const QSharedMemory *object)
{
    return static_cast<State *>(states.find(object));
}

QSharedMemory::QSharedMemory(QObject *parent) : QObject(parent)
{
    newState(this);
}

QSharedMemory::QSharedMemory(const QString &key, QObject *parent) : QObject(parent)
{
    newState(this);
    setKey(key);
}

QSharedMemory::~QSharedMemory()
{
    delete static_cast<State *>(states.take(this));
}

const QMetaObject *QSharedMemory::metaObject() const
{
    return QObject::d_ptr->metaObject ? QObject::d_ptr->dynamicMetaObject() : &staticMetaObject;
}

void *QSharedMemory::qt_metacast(const char *name)
{
    if (!name)
        return nullptr;
    if (std::strcmp(name, staticMetaObject.className()) == 0)
        return this;
    if (std::strcmp(name, qshm::qt::ClassMark) == 0)
        return stateOf(this) ? this : nullptr;
    return QObject::qt_metacast(name);
}

int QSharedMemory::qt_metacall(QMetaObject::Call call, int id, void **arguments)
{
    // Neither signals, slots nor properties of its own.
    return QObject::qt_metacall(call, id, arguments);
}

bool QSharedMemory::create(Size size, AccessMode mode)
{
    State *const state = stateOf(this);
    return state && state->memory.create(size, qshm::qt::accessModeOf(mode));
}

Size QSharedMemory::size() const
{
    const State *const state = stateOf(this);
    return state ? Size(state->memory.size()) : 0;
}

bool QSharedMemory::attach(AccessMode mode)
{
    State *const state = stateOf(this);
    return state && state->memory.attach(qshm::qt::accessModeOf(mode));
}

bool QSharedMemory::isAttached() const
{
    const State *const state = stateOf(this);
    return state && state->memory.isAttached();
}

bool QSharedMemory::detach()
{
    State *const state = stateOf(this);
    return state && state->memory.detach();
}

void *QSharedMemory::data()
{
    State *const state = stateOf(this);
    return state ? state->memory.data() : nullptr;
}

const void *QSharedMemory::constData() const
{
    const State *const state = stateOf(this);
    return state ? state->memory.constData() : nullptr;
}

const void *QSharedMemory::data() const
{
    return constData();
}

bool QSharedMemory::lock()
{
    State *const state = stateOf(this);
    return state && state->memory.lock();
}

bool QSharedMemory::unlock()
{
    State *const state = stateOf(this);
    return state && state->memory.unlock();
}

QSharedMemory::SharedMemoryError QSharedMemory::error() const
{
    const State *const state = stateOf(this);
    return state ? errorOf(state->memory.error().code) : NoError;
}

QString QSharedMemory::errorString() const
{
    const State *const state = stateOf(this);
    const qshm::Error error = state ? state->memory.error() : qshm::Error();
    if (!error)
        return QString();
    const QString pattern = tr(qshm::dropin::patternOf(error.pattern).constData());
    if (error.innerPattern.empty())
        return qshm::dropin::filledIn(error, pattern);
    const QByteArray inner = qshm::dropin::patternOf(error.innerPattern);
    return qshm::dropin::filledIn(
            error, pattern, QCoreApplication::translate("QSystemSemaphore", inner.constData()));
}

QT_END_NAMESPACE

const char *const qshm::dropin::sharedMemoryPart = &qshm::dropin::sharedMemoryKeyPart;

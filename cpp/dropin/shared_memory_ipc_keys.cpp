// The keys of QSharedMemory from Qt 6.6 on: a QNativeIpcKey.

#include "shared_memory_state.h"

#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)

#    include "ipc_keys.h"

#    include <QtCore/qfile.h>

QT_BEGIN_NAMESPACE

using qshm::dropin::State;
using qshm::dropin::stateOf;

namespace {

// What setKey() makes of a key, for nativeKey() and the like.
QNativeIpcKey legacyKey(const State &state)
{
    const std::string path = state.memory.nativeKey();
    return qshm::dropin::withLegacyKey(
            QNativeIpcKey::Type::SystemV,
            QFile::decodeName(QByteArray(path.data(), qsizetype(path.size()))), state.key);
}

} // namespace

QSharedMemory::QSharedMemory(const QNativeIpcKey &key, QObject *parent) : QSharedMemory(parent)
{
    setNativeKey(key);
}

void QSharedMemory::setKey(const QString &key)
{
    State *const state = stateOf(this);
    if (!state)
        return;
    if (key.isEmpty()) {
        setNativeKey(QNativeIpcKey(QNativeIpcKey::Type::SystemV));
        return;
    }
    state->key = key;
    state->temp = qshm::dropin::tempPath();
    state->isLegacy = true;
    state->memory.setKey(qshm::dropin::viewOf(key.toUtf8()), qshm::dropin::viewOf(state->temp));
}

QString QSharedMemory::key() const
{
    const State *const state = stateOf(this);
    return state ? state->key : QString();
}

void QSharedMemory::setNativeKey(const QNativeIpcKey &key)
{
    State *const state = stateOf(this);
    if (!state || (key == state->ipcKey && key.isEmpty() && !state->isLegacy))
        return;
    if (!isKeyTypeSupported(key.type())) {
        state->memory.setNativeKey(quint16(key.type()), {});
        return;
    }
    state->key = qshm::dropin::legacyKeyOf(key);
    state->isLegacy = false;
    state->ipcKey = key;
    const QNativeIpcKey lock = qshm::dropin::legacyNativeKey(state->key, "qipc_systemsem_",
                                                             key.type());
    state->memory.setNativeKey(quint16(key.type()),
                               qshm::dropin::viewOf(QFile::encodeName(key.nativeKey())),
                               qshm::dropin::viewOf(QFile::encodeName(lock.nativeKey())));
}

// Not in the header any more, but programs that were built with Qt 6.0 to 6.5 call it.
#    define QSHM_REMOVED_MEMBER extern "C" Q_DECL_EXPORT
QSHM_REMOVED_MEMBER void
qshmSetNativeKey(QSharedMemory *memory,
                 const QString *key) __asm__("_ZN13QSharedMemory12setNativeKeyERK7QString");

void qshmSetNativeKey(QSharedMemory *memory, const QString *key)
{
    memory->setNativeKey(QNativeIpcKey(*key, QNativeIpcKey::legacyDefaultTypeForOs()));
}

QString QSharedMemory::nativeKey() const
{
    return nativeIpcKey().nativeKey();
}

QNativeIpcKey QSharedMemory::nativeIpcKey() const
{
    const State *const state = stateOf(this);
    if (!state)
        return QNativeIpcKey();
    return state->isLegacy ? legacyKey(*state) : state->ipcKey;
}

bool QSharedMemory::isKeyTypeSupported(QNativeIpcKey::Type type)
{
    return qshm::dropin::isSupported(type);
}

QNativeIpcKey QSharedMemory::platformSafeKey(const QString &key, QNativeIpcKey::Type type)
{
    return qshm::dropin::platformSafeKey(key, type);
}

QNativeIpcKey QSharedMemory::legacyNativeKey(const QString &key, QNativeIpcKey::Type type)
{
    return qshm::dropin::legacyNativeKey(key, "qipc_sharedmemory_", type);
}

QT_END_NAMESPACE

const char qshm::dropin::sharedMemoryKeyPart = 0;

#endif

// The keys of QSharedMemory, up to Qt 6.5: a text, or the path of a key file.

#include "shared_memory_state.h"

#if QT_VERSION < QT_VERSION_CHECK(6, 6, 0)

#    include <QtCore/qfile.h>

QT_BEGIN_NAMESPACE

using qshm::dropin::State;
using qshm::dropin::stateOf;

void QSharedMemory::setKey(const QString &key)
{
    State *const state = stateOf(this);
    if (!state)
        return;
    const QByteArray temp = key.isEmpty() ? QByteArray() : qshm::dropin::tempPath();
    if (key == state->key && temp == state->temp && state->nativeKey.isEmpty())
        return;
    state->key = key;
    state->temp = temp;
    state->nativeKey = QString();
    if (key.isNull())
        state->memory.clearKey();
    else
        state->memory.setKey(qshm::dropin::viewOf(key.toUtf8()), qshm::dropin::viewOf(temp));
}

QString QSharedMemory::key() const
{
    const State *const state = stateOf(this);
    return state ? state->key : QString();
}

void QSharedMemory::setNativeKey(const QString &key)
{
    State *const state = stateOf(this);
    if (!state || (state->key.isNull() && key == state->nativeKey))
        return;
    state->key = QString();
    state->temp = QByteArray();
    state->nativeKey = key;
    state->memory.setNativeKey(qshm::dropin::viewOf(QFile::encodeName(key)));
}

QString QSharedMemory::nativeKey() const
{
    const State *const state = stateOf(this);
    if (!state || state->key.isEmpty())
        return state ? state->nativeKey : QString();
    const std::string path = state->memory.nativeKey();
    return QFile::decodeName(QByteArray(path.data(), int(path.size())));
}

QT_END_NAMESPACE

const char qshm::dropin::sharedMemoryKeyPart = 0;

#endif

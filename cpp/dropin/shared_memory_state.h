// What a QSharedMemory of qshm is made of.
#ifndef QSHM_DROPIN_SHARED_MEMORY_STATE_H
#define QSHM_DROPIN_SHARED_MEMORY_STATE_H

#include "../qt/object_table.h"
#include "runtime.h"

#include <qshm/shared_memory.h>

#include <QtCore/qsharedmemory.h>

namespace qshm {
namespace dropin {

struct State
{
    SharedMemory memory;
    // As given to setKey(); null after setNativeKey().
    QString key;
    // The temp directory that the key was set in.
    QByteArray temp;
#if QT_VERSION < QT_VERSION_CHECK(6, 6, 0)
    // As given to setNativeKey(): there may be no way back from the name of the file.
    QString nativeKey;
#else
    // Of a key that setKey() got, made when it is asked for: that takes time.
    QNativeIpcKey ipcKey;
    bool isLegacy = false;
#endif
};

/// The state of an object, null if it has none.
State *stateOf(const QSharedMemory *object);

} // namespace dropin
} // namespace qshm

#endif

// What both classes do with the keys of Qt 6.6 and later.
#ifndef QSHM_DROPIN_IPC_KEYS_H
#define QSHM_DROPIN_IPC_KEYS_H

#include "runtime.h"

#include <QtCore/qtipccommon.h>

namespace qshm {
namespace dropin {

/// Whether Linux has keys of this type. As with Qt, every number but that of Windows will do.
constexpr bool isSupported(QNativeIpcKey::Type type)
{
    return type != QNativeIpcKey::Type::Windows;
}

/// The answer of platformSafeKey().
QNativeIpcKey platformSafeKey(const QString &key, QNativeIpcKey::Type type);

/// The answer of legacyNativeKey(). `prefix` is how the names of the class begin.
QNativeIpcKey legacyNativeKey(const QString &key, const char *prefix, QNativeIpcKey::Type type);

/// A key of this type and name that remembers what setKey() was given.
QNativeIpcKey withLegacyKey(QNativeIpcKey::Type type, const QString &name, const QString &key);

/// What setKey() was given, if a key remembers that; null otherwise.
QString legacyKeyOf(const QNativeIpcKey &key);

} // namespace dropin
} // namespace qshm

#endif

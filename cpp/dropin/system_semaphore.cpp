// Qt's QSystemSemaphore, defined by qshm.
//
// The class is that of the application's own Qt headers. What its `d` points to is ours.

#include "../qt/codes.h"
#include "runtime.h"

#include <qshm/system_semaphore.h>

#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
#    include "ipc_keys.h"

#    include <QtCore/qfile.h>
#endif

#include <QtCore/qcoreapplication.h>
#include <QtCore/qsystemsemaphore.h>

QT_BEGIN_NAMESPACE

class QSystemSemaphorePrivate
{
public:
    QSystemSemaphorePrivate() { qshm::dropin::prepare(); }

    qshm::SystemSemaphore semaphore;
    QString key;
#if QT_VERSION >= QT_VERSION_CHECK(6, 6, 0)
    QNativeIpcKey ipcKey;
#endif
};

namespace {

static_assert(qshm::qt::openModeOf(QSystemSemaphore::Open) == qshm::OpenMode::Open
              && qshm::qt::openModeOf(QSystemSemaphore::Create) == qshm::OpenMode::Create);

constexpr QSystemSemaphore::SystemSemaphoreError errorOf(qshm::ErrorCode code)
{
    return QSystemSemaphore::SystemSemaphoreError(qshm::qt::semaphoreErrorOf(code));
}

static_assert(errorOf(qshm::ErrorCode::NoError) == QSystemSemaphore::NoError
              && errorOf(qshm::ErrorCode::PermissionDenied) == QSystemSemaphore::PermissionDenied
              && errorOf(qshm::ErrorCode::KeyError) == QSystemSemaphore::KeyError
              && errorOf(qshm::ErrorCode::AlreadyExists) == QSystemSemaphore::AlreadyExists
              && errorOf(qshm::ErrorCode::NotFound) == QSystemSemaphore::NotFound
              && errorOf(qshm::ErrorCode::OutOfResources) == QSystemSemaphore::OutOfResources
              && errorOf(qshm::ErrorCode::UnknownError) == QSystemSemaphore::UnknownError);

QString translated(const qshm::Error &error)
{
    const qshm::qt::Context context = qshm::qt::semaphoreContextOf(error.code, QT_VERSION_MAJOR);
    return QCoreApplication::translate(context.name,
                                       qshm::dropin::patternOf(error.pattern).constData(),
                                       context.disambiguation);
}

} // namespace

#if QT_VERSION < QT_VERSION_CHECK(6, 6, 0)

QSystemSemaphore::QSystemSemaphore(const QString &key, int initialValue, AccessMode mode)
    : d(new QSystemSemaphorePrivate)
{
    setKey(key, initialValue, mode);
}

void QSystemSemaphore::setKey(const QString &key, int initialValue, AccessMode mode)
{
    if (key == d->key && mode == Open)
        return;
    d->key = key;
    if (key.isNull()) {
        d->semaphore.clearKey(qshm::qt::openModeOf(mode));
        return;
    }
    d->semaphore.setKey(qshm::dropin::viewOf(key.toUtf8()),
                        qshm::dropin::viewOf(qshm::dropin::tempPath()), initialValue,
                        qshm::qt::openModeOf(mode));
}

#else

QSystemSemaphore::QSystemSemaphore(const QString &key, int initialValue, AccessMode mode)
    : QSystemSemaphore(legacyNativeKey(key), initialValue, mode)
{ }

QSystemSemaphore::QSystemSemaphore(const QNativeIpcKey &key, int initialValue, AccessMode mode)
    : d(new QSystemSemaphorePrivate)
{
    d->ipcKey.setType(key.type());
    if (key.isEmpty() && mode == Open) {
        d->semaphore.setNativeKey(quint16(key.type()), {});
        return;
    }
    setNativeKey(key, initialValue, mode);
}

void QSystemSemaphore::setKey(const QString &key, int initialValue, AccessMode mode)
{
    setNativeKey(legacyNativeKey(key), initialValue, mode);
}

void QSystemSemaphore::setNativeKey(const QNativeIpcKey &key, int initialValue, AccessMode mode)
{
    if (key == d->ipcKey && mode == Open)
        return;
    if (isKeyTypeSupported(key.type())) {
        d->ipcKey = key;
        d->key = qshm::dropin::legacyKeyOf(key);
    }
    d->semaphore.setNativeKey(quint16(key.type()),
                              qshm::dropin::viewOf(QFile::encodeName(key.nativeKey())),
                              initialValue, qshm::qt::openModeOf(mode));
}

QNativeIpcKey QSystemSemaphore::nativeIpcKey() const
{
    return d->ipcKey;
}

bool QSystemSemaphore::isKeyTypeSupported(QNativeIpcKey::Type type)
{
    return qshm::dropin::isSupported(type);
}

QNativeIpcKey QSystemSemaphore::platformSafeKey(const QString &key, QNativeIpcKey::Type type)
{
    return qshm::dropin::platformSafeKey(key, type);
}

QNativeIpcKey QSystemSemaphore::legacyNativeKey(const QString &key, QNativeIpcKey::Type type)
{
    return qshm::dropin::legacyNativeKey(key, "qipc_systemsem_", type);
}

#endif

QSystemSemaphore::~QSystemSemaphore() = default;

QString QSystemSemaphore::key() const
{
    return d->key;
}

bool QSystemSemaphore::acquire()
{
    return d->semaphore.acquire();
}

bool QSystemSemaphore::release(int n)
{
    return d->semaphore.release(n);
}

QSystemSemaphore::SystemSemaphoreError QSystemSemaphore::error() const
{
    return errorOf(d->semaphore.error().code);
}

QString QSystemSemaphore::errorString() const
{
    const qshm::Error error = d->semaphore.error();
    return error ? qshm::dropin::filledIn(error, translated(error)) : QString();
}

QT_END_NAMESPACE

const char qshm::dropin::systemSemaphorePart = 0;

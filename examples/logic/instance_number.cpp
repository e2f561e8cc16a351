#include "instance_number.h"

#include <QElapsedTimer>

#include <csignal>
#include <cstring>

namespace {

// Not by a pointer to qint32: the memory is other processes' as well, and has no type.
qint32 load(const void *memory)
{
    qint32 value = 0;
    std::memcpy(&value, memory, sizeof value);
    return value;
}

void store(void *memory, qint32 value)
{
    std::memcpy(memory, &value, sizeof value);
}

void keepBusy(std::chrono::microseconds duration)
{
    QElapsedTimer timer;
    timer.start();
    while (timer.nsecsElapsed() / 1000 < duration.count()) {
    }
}

} // namespace

InstanceNumber::InstanceNumber(const QString &key)
#if QT_VERSION < QT_VERSION_CHECK(6, 6, 0)
    : m_memory(key)
#else
    : m_memory(QSharedMemory::platformSafeKey(key))
#endif
{ }

InstanceNumber::~InstanceNumber()
{
    if (m_taken && m_memory.lock()) {
        store(m_memory.data(), load(m_memory.constData()) - 1);
        m_memory.unlock();
    }
    if (m_memory.isAttached())
        m_memory.detach();
}

std::optional<qint32> InstanceNumber::take(const InLock &inLock)
{
    if (!m_memory.create(sizeof(qint32)) && !m_memory.attach())
        return std::nullopt;
    if (!hasRoomForCounter() || !m_memory.lock())
        return std::nullopt;

    const qint32 number = load(m_memory.constData());
    keepBusy(inLock.work);
    store(m_memory.data(), number + 1);
    if (inLock.crash)
        std::raise(SIGKILL);
    m_memory.unlock();

    m_taken = true;
    return number;
}

std::optional<qint32> InstanceNumber::count()
{
    if (!m_memory.attach(QSharedMemory::ReadOnly)) {
        if (m_memory.error() == QSharedMemory::NotFound)
            return 0;
        return std::nullopt;
    }
    if (!hasRoomForCounter() || !m_memory.lock())
        return std::nullopt;
    const qint32 number = load(m_memory.constData());
    m_memory.unlock();
    return number;
}

QString InstanceNumber::errorMessage() const
{
    if (!m_ownError.isEmpty())
        return m_ownError;
    return QStringLiteral("Unable to create shared memory to hold instance number, "
                          "Qt error code: %1, Qt error string: %2")
            .arg(QString::number(m_memory.error()), m_memory.errorString());
}

// Whoever made the segment chose its size.
bool InstanceNumber::hasRoomForCounter()
{
    if (m_memory.size() >= int(sizeof(qint32)))
        return true;
    m_ownError = QStringLiteral("Shared memory of %1 bytes is too small to hold instance number")
                         .arg(m_memory.size());
    return false;
}

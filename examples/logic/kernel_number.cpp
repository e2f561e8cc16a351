#include "kernel_number.h"

#include <csignal>

KernelNumber::KernelNumber(const QString &key) : m_key(key) { }

std::optional<qint32> KernelNumber::take(const InLock &inLock)
{
    qshm::InstanceOptions options;
    options.counterKey = m_key.toStdString();
    m_instance = qshm::Instance::join(m_key.toStdString(), options);
    if (inLock.crash)
        std::raise(SIGKILL);
    return m_instance->number();
}

std::optional<qint32> KernelNumber::count()
{
    return qint32(qshm::Instance::join(m_key.toStdString()).count()) - 1;
}

QString KernelNumber::errorMessage() const
{
    return m_instance ? QString::fromStdString(m_instance->reason()) : QString();
}

#ifndef LOGIC_KERNEL_NUMBER_H
#define LOGIC_KERNEL_NUMBER_H

#include "instance_number.h"

#include <qshm/instance.h>

#include <QString>

#include <optional>

// The same as InstanceNumber, and what to move to from it: the kernel holds the number, so an
// instance that is killed gives its number back in the same moment, and the next one gets it.
//
// The old counter is kept at the number of running instances for as long as older builds use it.
class KernelNumber
{
public:
    explicit KernelNumber(const QString &key);

    // The number of this instance. There always is one; errorMessage() says why it is private.
    std::optional<qint32> take(const InLock &inLock = {});

    // How many instances run; this one does not join them for longer than it takes to look.
    std::optional<qint32> count();

    QString errorMessage() const;

private:
    QString m_key;
    std::optional<qshm::Instance> m_instance;
};

#endif

#ifndef LOGIC_INSTANCE_NUMBER_H
#define LOGIC_INSTANCE_NUMBER_H

#include <QSharedMemory>
#include <QString>

#include <chrono>
#include <optional>

// What a test wants to happen between lock() and unlock().
struct InLock
{
    std::chrono::microseconds work { 0 };
    bool crash = false;
};

// Counts the running instances in four bytes of shared memory. The count before an instance joins
// is its number.
//
// The count goes up and down in memory that lives on while any instance does, so an instance that
// is killed stays counted until the last of the others has left: that is how this application was
// written, and no replacement of QSharedMemory can know better. Nor is a number that was given back
// out of order handed out again: of 0 and 1, when 0 leaves, the next one is called 1 as well.
class InstanceNumber
{
public:
    explicit InstanceNumber(const QString &key);
    ~InstanceNumber(); // gives the number back
    Q_DISABLE_COPY(InstanceNumber)

    // The number of this instance, or nothing: errorMessage() says why.
    std::optional<qint32> take(const InLock &inLock = {});

    // How many instances are counted; this one does not join them.
    std::optional<qint32> count();

    QString errorMessage() const;

private:
    bool hasRoomForCounter();

    QSharedMemory m_memory;
    QString m_ownError;
    bool m_taken = false;
};

#endif

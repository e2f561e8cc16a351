#ifndef LOGIC_EXIT_REQUEST_H
#define LOGIC_EXIT_REQUEST_H

#include <QSocketNotifier>

#include <optional>

// Ends the event loop on SIGTERM, SIGINT, or when standard input is closed.
class ExitRequest
{
public:
    ExitRequest();
    ~ExitRequest();
    Q_DISABLE_COPY(ExitRequest)

private:
    void readInput();

    // A signal handler may do little more than write to a pipe; the event loop reads it.
    int m_pipe[2] = { -1, -1 };
    std::optional<QSocketNotifier> m_signal;
    std::optional<QSocketNotifier> m_input;
};

#endif

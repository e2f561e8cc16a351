#include "exit_request.h"

#include <QCoreApplication>

#include <csignal>

#include <fcntl.h>
#include <unistd.h>

namespace {

volatile std::sig_atomic_t signalPipe = -1;

void onSignal(int)
{
    const char byte = 0;
    // Nothing to be done when it fails: the pipe is full, so the loop is told already.
    [[maybe_unused]] const auto written = ::write(signalPipe, &byte, 1);
}

} // namespace

ExitRequest::ExitRequest()
{
    if (::pipe2(m_pipe, O_CLOEXEC | O_NONBLOCK) == 0) {
        m_signal.emplace(m_pipe[0], QSocketNotifier::Read);
        QObject::connect(&*m_signal, &QSocketNotifier::activated, qApp, &QCoreApplication::quit);
        signalPipe = m_pipe[1];
        std::signal(SIGTERM, onSignal);
        std::signal(SIGINT, onSignal);
    }
    m_input.emplace(STDIN_FILENO, QSocketNotifier::Read);
    QObject::connect(&*m_input, &QSocketNotifier::activated, qApp, [this] { readInput(); });
}

ExitRequest::~ExitRequest()
{
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGINT, SIG_DFL);
    ::close(m_pipe[0]);
    ::close(m_pipe[1]);
}

// What is typed is of no interest, only that nothing more will be.
void ExitRequest::readInput()
{
    char ignored[256];
    if (::read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
        QCoreApplication::quit();
}

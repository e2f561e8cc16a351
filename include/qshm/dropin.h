// Whose QSharedMemory and QSystemSemaphore a process has.
#ifndef QSHM_DROPIN_H
#define QSHM_DROPIN_H

namespace qshm {

/// Where `QSharedMemory` and `QSystemSemaphore` come from.
enum class Implementation {
    /// From Qt.
    Qt = 0,
    /// From qshm: the drop-in is in effect.
    Qshm = 1,
    /// From both, so that objects made by one may end up with the other. The program is linked
    /// in a way that must be put right (`--exclude-libs`, or a library with `-Bsymbolic-functions`
    /// that has a drop-in of its own).
    Mixed = 2,
};

#ifdef __linux__

/// Tells by trial what the two classes are in this process, as seen from the caller's program or
/// library. Any thread may call it at any time; it makes no IPC objects.
///
/// There is no answer "not linked": a program that calls this and that does not link the drop-in
/// does not link at all, and a static drop-in takes effect by being asked, wherever it stands on
/// the link line.
///
/// ```cpp
/// if (qshm::activeImplementation() != qshm::Implementation::Qshm)
///     std::fprintf(stderr, "linked without qshm\n");
/// ```
Implementation activeImplementation();

#else

/// Elsewhere the drop-in is empty and Qt's classes are used.
inline Implementation activeImplementation()
{
    return Implementation::Qt;
}

#endif

} // namespace qshm

#endif

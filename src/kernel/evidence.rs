//! What `/proc` tells of objects and of processes.

use super::{FileStat, IpcId, Process, SemaphoreRow, ShmStat};

/// For diagnosis alone, never for a lock. All of it is best effort: what may not be seen is left
/// out, and a kernel that can't tell says nothing.
pub trait Evidence {
    /// What `/proc/sysvipc/shm` says of a segment that [`Kernel::shm_stat`](super::Kernel::shm_stat) may not look
    /// at.
    fn shm_peek(&self, _id: IpcId) -> Option<ShmStat> {
        None
    }

    /// What `/proc/sysvipc/sem` says of a semaphore, with its value and last user where these may
    /// be read.
    fn sem_peek(&self, _id: IpcId) -> Option<SemaphoreRow> {
        None
    }

    /// The processes that are attached to a segment, as far as `/proc` shows them.
    fn attached_processes(&self, _id: IpcId) -> Vec<Process> {
        Vec::new()
    }

    /// The processes that have a file open or mapped, as far as `/proc` shows them.
    fn processes_of_file(&self, _file: &FileStat) -> Vec<Process> {
        Vec::new()
    }

    /// The process of this pid, as far as `/proc` shows it.
    fn process(&self, _pid: i32) -> Option<Process> {
        None
    }

    /// The processes that hold the exclusive flock(2) of a file: `/proc/locks`.
    fn flock_holders(&self, _file: &FileStat) -> Vec<Process> {
        Vec::new()
    }
}

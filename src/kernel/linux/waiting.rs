//! Calls that have no timed form, asked again and again.

use std::time::{Duration, Instant};

use super::super::{Errno, Wait};

/// The longest pause between two attempts at a lock that somebody else holds.
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// Asks again, with growing pauses, while the answer is `EAGAIN`, for as long as `wait` says.
pub(super) fn asked_again<T>(wait: Wait, ask: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
    let mut answer = ask();
    if wait == Wait::No || !matches!(answer, Err(Errno::EAGAIN)) {
        return answer;
    }
    let begin = Instant::now();
    let is_over = || match wait {
        Wait::AtMost(time) => begin.elapsed() >= time,
        Wait::No | Wait::Forever => false,
    };
    let mut pause = Duration::from_micros(20);
    while matches!(answer, Err(Errno::EAGAIN)) && !is_over() {
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        answer = ask();
    }
    answer
}

//! One process on a machine on which nobody else runs.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Answers, End, Program, SimProcess, Status, User, run};
use crate::model::call::{Call, Cred, Reply};
use crate::model::{Pid, World};

/// A process that has a machine for itself; when it would wait, time passes.
struct Alone {
    world: Rc<RefCell<World>>,
    pid: Pid,
}

impl Answers for Alone {
    fn answer(&self, cred: Cred, call: &Call, _: &Status) -> Option<Reply> {
        let mut world = self.world.borrow_mut();
        match world.call(self.pid, cred, call) {
            crate::model::Step::Answer(reply) => Some(reply),
            crate::model::Step::Waits if world.patience(self.pid).is_some() => {
                Some(world.time_out(self.pid))
            }
            // It would wait for ever: nobody is there to end that.
            crate::model::Step::Waits => None,
        }
    }
}

/// Runs one more process on a machine on which nobody else runs, to its end.
pub fn run_alone(mut world: World, user: &User, program: &Program) -> (World, End, Status) {
    let pid = world.start(user.cred, &user.groups);
    let world = Rc::new(RefCell::new(world));
    let process = SimProcess::new(
        pid,
        user,
        Alone {
            world: world.clone(),
            pid,
        },
    );
    let end = run(&process, program);
    let status = process.status();
    drop(process);
    let mut world = world.borrow().clone();
    world.kill(pid);
    while world.dying(pid) {
        world.die(pid, false);
    }
    (world, end, status)
}

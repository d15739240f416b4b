use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use super::*;

/// A process that ends when it gets a signal, and when this is dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap())
    }

    fn seen(&self) -> Seen {
        Seen::look(Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap()).unwrap()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn what_has_taken_over_the_number_is_not_signalled() {
    let mut sleeper = Sleeper::start();
    let mut other = sleeper.seen();
    other.started -= 1;
    let error = send(&other, Signal::Terminate).unwrap_err();
    assert!(error.reason.contains("has ended meanwhile"), "{error}");
    assert!(sleeper.0.try_wait().unwrap().is_none(), "it is none of its business");
    send(&sleeper.seen(), Signal::Terminate).unwrap();
    assert_eq!(sleeper.0.wait().unwrap().code(), None);
}

#[test]
fn an_attempt_that_hangs_keeps_no_second_one_waiting() {
    let sleeper = Sleeper::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    std::fs::write(&file, sleeper.0.id().to_string()).unwrap();
    let hook = SignalHook::new(&Whom::PidFile(file), Signal::Hangup);
    let change = Change { generation: Generation(2), names: BTreeSet::new() };
    let hanging = hook.target.reached.lock().unwrap();
    assert!(hook.target.tell(&change).unwrap_err().reason.contains("still hangs"));
    drop(hanging);
    hook.target.tell(&change).unwrap();
}

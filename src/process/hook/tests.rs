use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::snapshot::Generation;

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

#[test]
fn a_number_that_was_written_before_the_process_began_is_another_ones() {
    let mut sleeper = Sleeper::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid");
    std::fs::write(&path, sleeper.0.id().to_string()).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let began = std::time::UNIX_EPOCH + sleeper.seen().began();
    let written = |ago: u64| file.set_modified(began - Duration::from_secs(ago)).unwrap();
    let hook = SignalHook::new(&Whom::PidFile(path), Signal::Terminate);
    let change = Change { generation: Generation(2), names: BTreeSet::new() };
    written(60);
    let error = hook.target.tell(&change).unwrap_err();
    assert!(error.reason.contains("the number of a process that began after it was written"), "{error}");
    assert!(sleeper.0.try_wait().unwrap().is_none(), "it is none of its business");
    written(0);
    hook.target.tell(&change).unwrap();
    assert_eq!(sleeper.0.wait().unwrap().code(), None);
}

#[test]
fn one_generation_that_is_told_of_in_pieces_is_a_signal_for_each() {
    let sleeper = Sleeper::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    std::fs::write(&file, sleeper.0.id().to_string()).unwrap();
    let hook = SignalHook::new(&Whom::PidFile(file), Signal::Terminate);
    let change = |name: &str| Change {
        generation: Generation(2),
        names: BTreeSet::from([crate::reference::SecretName::parse(name).unwrap()]),
    };
    // It was signalled of the first piece, which it has survived.
    *hook.target.reached.lock().unwrap() = (Some(change("a")), vec![sleeper.seen()]);
    hook.target.tell(&change("a")).unwrap();
    let mut sleeper = sleeper;
    assert!(sleeper.0.try_wait().unwrap().is_none());
    hook.target.tell(&change("b")).unwrap();
    assert_eq!(sleeper.0.wait().unwrap().code(), None);
}

//! Who gets which signal, and how that ends: a table of signals, of places and of families.

use rustix::process::{Pid, Signal, kill_process};

use super::{App, KEYFERRY, LISTENS, apart, as_the_first, children, exec, state, until_state, world};
use crate::harness::root_or_skip;

#[test]
fn signals_are_the_command_s() {
    let world = world();
    let mut command = exec(&world, "", &[], LISTENS);
    let mut app = App::start(command.env("DB", "keyvault:demo/secrets/db"));
    assert_eq!(app.next().unwrap(), "ready");
    for (signal, heard) in [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::CONT, "CONT"),
        (Signal::TERM, "TERM"),
    ] {
        app.signal(signal);
        assert_eq!(app.next().unwrap(), heard);
    }
    assert_eq!(app.end(), 3);
}

/// Where keyferry runs, or that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Without,
    Beside,
    First,
}

const PLACES: [Place; 2] = [Place::Beside, Place::First];

/// A script that runs at a place.
struct Run {
    app: App,
    /// Whoever is signalled: keyferry, or without it the script.
    top: Pid,
}

impl Run {
    fn start(place: Place, script: &str) -> Self {
        let direct = ["/bin/sh", "-c", script];
        let wrapped = [&[KEYFERRY, "exec", "--"][..], &direct].concat();
        let mut app = match place {
            Place::Without => App::start(&mut apart(&direct)),
            Place::Beside => App::start(&mut apart(&wrapped)),
            Place::First => App::start(&mut as_the_first(&apart(&wrapped))),
        };
        app.until("ready");
        // unshare waits for the first process of the namespace.
        let top = if place == Place::First { children(app.pid())[0] } else { app.pid() };
        Self { app, top }
    }

    /// The script, under keyferry.
    fn child(&self) -> Pid {
        children(self.top)[0]
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.top, signal).unwrap();
    }

    /// Everything that is said until the end, and how that is.
    fn end(mut self) -> (Vec<String>, i32) {
        let lines = std::iter::from_fn(|| self.app.next()).collect();
        (lines, self.app.end())
    }
}

/// Not everybody may make a namespace.
fn places() -> impl Iterator<Item = Place> {
    let root = root_or_skip();
    PLACES.into_iter().filter(move |place| root || *place != Place::First)
}

/// A shell with a grandchild, each of which says what it gets. SIGUSR2 ends both.
const FAMILY: &str = "
    tell() { for s in TERM INT HUP USR1 CONT; do trap \"echo $1 $s\" $s; done; }
    tell child
    trap 'kill -USR2 $!; wait $!; echo child end; exit 3' USR2
    (tell grandchild; trap 'echo grandchild end; exit' USR2; echo ready; while :; do sleep 0.05; done) &
    while :; do sleep 0.05; done
";

/// The same without a grandchild.
const ALONE: &str = "
    for s in TERM INT HUP USR1 CONT; do trap \"echo child $s\" $s; done
    trap 'echo child end; exit 3' USR2
    echo ready
    while :; do sleep 0.05; done
";

/// Each, and who says that it ends.
const FAMILIES: [(&str, &[&str]); 2] = [(ALONE, &["child end"]), (FAMILY, &["grandchild end", "child end"])];

#[test]
fn a_signal_is_heard_by_the_command_and_by_no_other() {
    for (family, ends) in FAMILIES {
        heard_by_the_command_alone(family, ends);
    }
}

fn heard_by_the_command_alone(family: &str, ends: &[&str]) {
    for (signal, name) in [
        (Signal::TERM, Some("TERM")),
        (Signal::INT, Some("INT")),
        (Signal::HUP, Some("HUP")),
        (Signal::USR1, Some("USR1")),
        (Signal::CONT, Some("CONT")),
        // Which tells keyferry of its children, who have not changed.
        (Signal::CHILD, None),
    ] {
        let told = |place: Place| {
            let mut run = Run::start(place, family);
            run.signal(signal);
            let heard = name.map(|_| run.app.next().unwrap());
            run.signal(Signal::USR2);
            (heard, run.end())
        };
        let without = told(Place::Without);
        assert_eq!(without.0, name.map(|name| format!("child {name}")));
        assert_eq!(without.1, (ends.iter().map(|end| (*end).to_owned()).collect(), 3));
        for place in places() {
            assert_eq!(told(place), without, "{signal:?} {place:?}");
        }
    }
}

#[test]
fn a_signal_that_nobody_catches_ends_the_command_and_no_other() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1] {
        let alone = |place: Place| {
            let run = Run::start(place, "echo ready; exec sleep 1000");
            run.signal(signal);
            run.end()
        };
        assert_eq!(alone(Place::Without), (Vec::new(), 128 + signal.as_raw()));
        for place in places() {
            assert_eq!(alone(place), (Vec::new(), 128 + signal.as_raw()), "{signal:?} {place:?}");
        }
        let shell = |place: Place| {
            // It must not keep the output from its end.
            let run = Run::start(place, "sleep 1000 > /dev/null & echo ready; wait");
            let grandchild = if place == Place::Without { children(run.top)[0] } else { children(run.child())[0] };
            run.signal(signal);
            let (lines, code) = run.end();
            assert_eq!((lines, code), (Vec::new(), 128 + signal.as_raw()), "{signal:?} {place:?}");
            grandchild
        };
        for place in [Place::Without].into_iter().chain(places()) {
            let grandchild = shell(place);
            if place == Place::First {
                // A namespace ends with its first process.
                until_state(grandchild, |state| "XZ".contains(state));
            } else {
                assert!(!"XZ".contains(state(grandchild)), "{signal:?} {place:?}");
                kill_process(grandchild, Signal::KILL).unwrap();
            }
        }
    }
}

#[test]
fn while_keyferry_is_stopped_the_command_goes_on_and_its_end_is_kept() {
    for (place, (family, _)) in places().flat_map(|place| FAMILIES.map(|family| (place, family))) {
        let mut run = Run::start(place, family);
        let child = run.child();
        run.signal(Signal::STOP);
        until_state(run.top, |state| state == 'T');
        kill_process(child, Signal::USR1).unwrap();
        assert_eq!(run.app.next().unwrap(), "child USR1", "{place:?}");
        kill_process(child, Signal::USR2).unwrap();
        run.app.until("child end");
        until_state(child, |state| state == 'Z');
        assert_eq!(state(run.top), 'T');
        run.signal(Signal::CONT);
        assert_eq!(run.end(), (Vec::new(), 3), "{place:?}");
    }
}

#[test]
fn the_command_is_stopped_and_goes_on_alone() {
    for (place, (family, _)) in places().flat_map(|place| FAMILIES.map(|family| (place, family))) {
        let mut run = Run::start(place, family);
        let child = run.child();
        run.signal(Signal::TSTP);
        until_state(child, |state| state == 'T');
        assert_ne!(state(run.top), 'T');
        assert!(children(child).into_iter().all(|grandchild| state(grandchild) != 'T'), "{place:?}");
        // It has them all when it goes on.
        run.signal(Signal::USR1);
        run.signal(Signal::CONT);
        let mut heard = [run.app.next().unwrap(), run.app.next().unwrap()];
        heard.sort();
        assert_eq!(heard, ["child CONT", "child USR1"], "{place:?}");
        run.signal(Signal::USR2);
        assert_eq!(run.end().1, 3, "{place:?}");
    }
}

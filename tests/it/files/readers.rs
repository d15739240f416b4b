//! Readers, while generation after generation is published: they see one, whole.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests look at files with the standard library"
)]

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{env, thread};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::desk::{Desk, try_publish};

/// The files of every generation. The last never changes: it is linked from one to the next.
pub(crate) const NAMES: [&str; 4] = ["a", "b", "sub/c", "d"];

/// What they hold: the generation's number, in files of different lengths that change with it.
pub(crate) fn contents(number: u64) -> [String; 4] {
    let padding = "=".repeat(usize::try_from(number % 61).unwrap());
    [format!("{number}!"), format!("{number}{padding}!"), format!("{number}{padding}{padding}!"), "still!".into()]
}

/// What a reader saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Generations that were read from the first file to the last.
    pub(crate) whole: usize,
    /// Files that were read by their path.
    pub(crate) by_path: usize,
    /// How often the reader was so slow that two publishes overtook it, which is what it may be cut off by.
    pub(crate) overtaken: usize,
}

/// Reads, and fails on anything but whole generations. `begun` is the number of the publish begun last.
pub(crate) struct Reader<'a, F: Fn() -> u64> {
    pub(crate) dir: &'a Path,
    pub(crate) begun: &'a F,
}

impl<F: Fn() -> u64> Reader<'_, F> {
    /// Opens `..data` once and reads everything there.
    pub(crate) fn handle(&self, seen: &mut Seen) {
        let before = (self.begun)();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Some(data) = self.unless_overtaken(before + 1, seen, || {
            openat(CWD, self.dir.join("..data"), flags, Mode::empty()).map_err(Into::into)
        }) else {
            return;
        };
        let mut generation = None;
        for name in NAMES {
            // The number that was read is removed by the publish after the one that replaced it. As long as none was
            // read: the publish that was begun may have replaced it meanwhile, and the next one removes it.
            let removed_by = generation.map_or(before + 1, |number| number + 2);
            let Some(value) = self.unless_overtaken(removed_by, seen, || {
                let file = openat(&data, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
                let mut text = String::new();
                fs::File::from(file).read_to_string(&mut text)?;
                Ok(text)
            }) else {
                return;
            };
            if let Some(number) = number_of(name, &value) {
                assert_eq!(number, *generation.get_or_insert(number), "a mixture: {name}");
            }
        }
        seen.whole += 1;
    }

    /// Reads every file by the path that users know.
    pub(crate) fn path(&self, seen: &mut Seen) {
        for name in NAMES {
            self.file(name, seen);
        }
    }

    fn file(&self, name: &str, seen: &mut Seen) {
        let before = (self.begun)();
        let read = self.unless_overtaken(before + 1, seen, || fs::read_to_string(self.dir.join(name)));
        if let Some(value) = read {
            number_of(name, &value);
            seen.by_path += 1;
        }
    }

    fn unless_overtaken<T>(
        &self,
        removed_by: u64,
        seen: &mut Seen,
        read: impl FnOnce() -> std::io::Result<T>,
    ) -> Option<T> {
        match read() {
            Ok(value) => Some(value),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
                let begun = (self.begun)();
                assert!(begun >= removed_by, "missing although only {begun} was begun, and {removed_by} may remove it");
                seen.overtaken += 1;
                None
            }
        }
    }
}

/// Checks that the content is whole and returns the number in it.
fn number_of(name: &str, value: &str) -> Option<u64> {
    let digits = value.trim_end_matches(['=', '!']);
    let number = digits.parse().ok();
    let index = NAMES.iter().position(|other| *other == name).unwrap();
    assert_eq!(value, contents(number.unwrap_or(0))[index], "a partial file: {name}");
    number
}

/// Lets one publish come in between while somebody reads, and no second one: so much is promised to readers.
#[derive(Default)]
struct Pace {
    begun: AtomicU64,
    done: AtomicU64,
    /// Which publish was done last when each reader began to read, and 0 while he does not.
    since: [AtomicU64; 2],
}

impl Pace {
    fn read(&self, reader: usize, read: impl FnOnce()) {
        self.since[reader].store(self.done.load(Ordering::SeqCst), Ordering::SeqCst);
        read();
        self.since[reader].store(0, Ordering::SeqCst);
    }

    /// Waits until whoever reads has begun after the publish before this one. False when `gone` tells that nobody will.
    fn publish(&self, number: u64, gone: impl Fn() -> bool, publish: impl FnOnce()) -> bool {
        let is_behind = |since: &AtomicU64| {
            let since = since.load(Ordering::SeqCst);
            since != 0 && since + 1 < number
        };
        while self.since.iter().any(is_behind) {
            if gone() {
                return false;
            }
            thread::yield_now();
        }
        self.begun.store(number, Ordering::SeqCst);
        publish();
        self.done.store(number, Ordering::SeqCst);
        true
    }
}

#[test]
fn a_hundred_thousand_generations_show_no_reader_a_mixture() {
    let last = env::var("KEYFERRY_TEST_GENERATIONS").map_or(100_000, |number| number.parse().unwrap());
    let desk = Desk::new().made(0o777);
    let (pace, stop) = (Pace::default(), AtomicBool::new(false));
    let begun = || pace.begun.load(Ordering::SeqCst);
    let mut sink = desk.sink();
    let mut publish = |number: u64| {
        let values = contents(number);
        let files: Vec<(&str, &str)> = NAMES.iter().copied().zip(values.iter().map(String::as_str)).collect();
        let published = try_publish(&mut sink, desk.dir(), &files).unwrap();
        assert_eq!((published.generation, published.repaired), (number, vec![]));
    };
    pace.publish(1, || false, || publish(1));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|number| {
                let (stop, begun, dir, pace) = (&stop, &begun, desk.dir(), &pace);
                scope.spawn(move || {
                    let mut seen = Seen::default();
                    let reader = Reader { dir, begun };
                    while !stop.load(Ordering::Relaxed) {
                        if number == 0 {
                            for name in NAMES {
                                pace.read(number, || reader.file(name, &mut seen));
                            }
                        } else {
                            pace.read(number, || reader.handle(&mut seen));
                        }
                    }
                    seen
                })
            })
            .collect();
        // A reader that fails must not leave the others reading for ever.
        let gone = || readers.iter().any(thread::ScopedJoinHandle::is_finished);
        for number in 2..=last {
            if gone() || !pace.publish(number, gone, || publish(number)) {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let seen: Vec<Seen> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        println!("{seen:?}");
        assert!(seen[1].whole > 0 && seen[0].by_path > 0, "{seen:?}");
        // Nothing was ever missing.
        assert_eq!(seen.iter().map(|seen| seen.overtaken).sum::<usize>(), 0, "{seen:?}");
    });
}

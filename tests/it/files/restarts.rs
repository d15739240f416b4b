//! Restarts: what is there is adopted if it verifies, whatever instant the process before was killed at.

#![expect(clippy::disallowed_methods, reason = "tests look at files with the standard library")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, thread};

use keyferry::files::FilesSink;

use super::desk::{
    Desk, Dice, changed, child, chmod, generations, identity, own_names, settings, try_publish, wait_for,
};
use super::readers::{NAMES, Reader, Seen, contents};

const FILES: [(&str, &str); 3] = [("a", "1"), ("b", "2"), ("sub/c", "3")];

#[test]
fn a_restart_without_a_change_touches_nothing() {
    let desk = Desk::new().made(0o777);
    let mut sink = desk.sink();
    desk.publish(&mut sink, &[("a", "0"), ("b", "2"), ("sub/c", "3"), ("gone", "0")]);
    desk.publish(&mut sink, &FILES);
    drop(sink);
    let (generation, a, c) = (desk.generation(), identity(&desk.dir().join("a")), identity(&desk.dir().join("sub/c")));
    for _ in 0..3 {
        let published = desk.publish(&mut desk.sink(), &FILES);
        assert_eq!((published.generation, changed(&published), published.repaired.clone()), (2, vec![], vec![]));
        assert_eq!(desk.generation(), generation);
        assert_eq!(identity(&desk.dir().join("a")), a);
        assert_eq!(identity(&desk.dir().join("sub/c")), c);
        assert_eq!(generations(desk.dir()).len(), 1);
    }
}

#[test]
fn a_restart_publishes_the_difference_only() {
    let desk = Desk::new().made(0o777);
    desk.publish(&mut desk.sink(), &FILES);
    let b = identity(&desk.dir().join("b"));
    let mut sink = desk.sink();
    let published = desk.publish(&mut sink, &[("a", "new"), ("b", "2"), ("d", "4")]);
    assert_eq!((published.generation, changed(&published)), (2, vec!["a", "d", "sub/c"]));
    assert_eq!(identity(&desk.dir().join("b")), b);
    desk.assert_shows(&[("a", "new"), ("b", "2"), ("d", "4")]);
    // What was adopted is watched like what was written.
    let again = desk.publish(&mut sink, &[("a", "new"), ("b", "2"), ("d", "4")]);
    assert_eq!((changed(&again), again.repaired.clone()), (vec![], vec![]));
}

#[test]
fn another_mode_in_the_configuration_rewrites_the_files() {
    let mut desk = Desk::new().made(0o777);
    desk.publish(&mut desk.sink(), &FILES);
    desk.settings.mode = 0o440;
    let published = desk.publish(&mut desk.sink(), &FILES);
    assert_eq!((changed(&published), published.repaired.clone()), (vec!["a", "b", "sub/c"], vec![]));
    assert_eq!(super::desk::mode(&desk.dir().join("sub/c")), 0o440);
    assert_eq!(super::desk::mode(&desk.generation()), 0o750);
}

#[test]
fn what_does_not_verify_is_not_adopted() {
    let cases: [(&str, &[&str], fn(&Desk)); 8] = [
        ("same size, other bytes", &["a"], |desk| {
            chmod(&desk.dir().join("a"), 0o600);
            fs::write(desk.dir().join("a"), "X").unwrap();
            chmod(&desk.dir().join("a"), 0o400);
        }),
        ("longer", &["a"], |desk| {
            chmod(&desk.dir().join("a"), 0o600);
            fs::write(desk.dir().join("a"), "1 and more").unwrap();
            chmod(&desk.dir().join("a"), 0o400);
        }),
        ("mode", &["a"], |desk| chmod(&desk.dir().join("a"), 0o644)),
        ("link to the truth", &["a"], |desk| {
            fs::rename(desk.generation().join("a"), desk.root.path().join("kept")).unwrap();
            std::os::unix::fs::symlink(desk.root.path().join("kept"), desk.generation().join("a")).unwrap();
        }),
        ("hard link", &["a"], |desk| {
            fs::hard_link(desk.generation().join("a"), desk.root.path().join("kept")).unwrap();
        }),
        ("extra file", &["more"], |desk| fs::write(desk.generation().join("more"), "").unwrap()),
        ("open to all", &["a", "b", "sub/c"], |desk| chmod(&desk.generation(), 0o777)),
        ("data elsewhere", &["a", "b", "sub/c"], |desk| {
            fs::remove_file(desk.dir().join("..data")).unwrap();
            std::os::unix::fs::symlink("elsewhere", desk.dir().join("..data")).unwrap();
        }),
    ];
    for (what, expected, tamper) in cases {
        let desk = Desk::new().made(0o777);
        desk.publish(&mut desk.sink(), &FILES);
        tamper(&desk);
        let published = desk.publish(&mut desk.sink(), &FILES);
        assert_eq!(changed(&published), expected, "{what}");
        desk.assert_shows(&FILES);
        assert_eq!(generations(desk.dir()).len(), if what == "data elsewhere" { 1 } else { 2 }, "{what}");
    }
}

#[test]
fn the_states_between_two_steps_are_ways_to_the_next_publish() {
    let new = [("a", "9"), ("n", "5")];
    let states: [fn(&Desk); 5] = [
        // A generation half built, its link not flipped.
        |desk| {
            fs::create_dir(desk.dir().join("..g2-0123456789abcdef")).unwrap();
            chmod(&desk.dir().join("..g2-0123456789abcdef"), 0o700);
            fs::write(desk.dir().join("..g2-0123456789abcdef/a"), "9").unwrap();
        },
        // An unchanged file linked into one.
        |desk| {
            fs::create_dir(desk.dir().join("..g2-0123456789abcdef")).unwrap();
            chmod(&desk.dir().join("..g2-0123456789abcdef"), 0o700);
            fs::hard_link(desk.generation().join("b"), desk.dir().join("..g2-0123456789abcdef/b")).unwrap();
        },
        // The new link made, not renamed.
        |desk| std::os::unix::fs::symlink("..g2-0123456789abcdef", desk.dir().join("..tmp-0123456789abcdef")).unwrap(),
        // Names of files to come.
        |desk| std::os::unix::fs::symlink("..data/later", desk.dir().join("later")).unwrap(),
        // A name not made yet.
        |desk| fs::remove_file(desk.dir().join("sub")).unwrap(),
    ];
    for (number, state) in states.into_iter().enumerate() {
        let desk = Desk::new().made(0o777);
        desk.publish(&mut desk.sink(), &FILES);
        state(&desk);
        let b = identity(&desk.dir().join("b"));
        let published = desk.publish(&mut desk.sink(), &FILES);
        assert_eq!((changed(&published), published.repaired.clone()), (vec![], vec![]), "state {number}");
        assert_eq!(identity(&desk.dir().join("b")), b, "state {number}");
        desk.assert_shows(&FILES);
        assert_eq!(own_names(desk.dir()).len(), 3, "state {number}");
        state(&desk);
        desk.publish(&mut desk.sink(), &new);
        desk.assert_shows(&new);
    }
}

/// The writer below is killed at 500 random moments; nobody who reads sees anything but a whole generation.
#[test]
fn five_hundred_kills_show_no_reader_half_a_generation() {
    let kills = env::var("KEYFERRY_TEST_KILLS").map_or(500, |kills| kills.parse().unwrap());
    let desk = Desk::new().made(0o777);
    let counter = desk.root.path().join("begun");
    fs::write(&counter, 0_u64.to_ne_bytes()).unwrap();
    let begun = fs::File::open(&counter).unwrap();
    let begun = || {
        let mut bytes = [0; 8];
        begun.read_exact_at(&mut bytes, 0).unwrap();
        u64::from_ne_bytes(bytes)
    };
    let stop = AtomicBool::new(false);
    let mut dice = Dice::new();
    let spawn = || {
        child("files::restarts::child_publishes_for_ever")
            .env("DIR", desk.dir())
            .env("BEGUN", &counter)
            .spawn()
            .unwrap()
    };
    thread::scope(|scope| {
        let mut first = spawn();
        wait_for("the first generation", || desk.dir().join("..data/d").exists());
        first.kill().unwrap();
        first.wait().unwrap();
        let reader = scope.spawn(|| {
            let mut seen = Seen::default();
            while !stop.load(Ordering::Relaxed) {
                Reader { dir: desk.dir(), begun: &begun }.handle(&mut seen);
                Reader { dir: desk.dir(), begun: &begun }.path(&mut seen);
            }
            seen
        });
        for number in 0..kills {
            let mut writer = spawn();
            let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
            if number % 2 == 0 {
                // Past its first publish: by then what the one before left is gone.
                let ready =
                    lines.find_map(|line| line.unwrap().split_once("own names ").map(|(_, count)| count.to_owned()));
                let count: usize = ready.expect("the writer failed").parse().unwrap();
                assert!(count <= 4, "..data, ..lock, the generation and the one before, not {count}");
            }
            let moment = if number % 2 == 0 { dice.roll(3_000) } else { dice.roll(12_000) };
            thread::sleep(Duration::from_micros(moment.try_into().unwrap()));
            assert!(writer.try_wait().unwrap().is_none(), "the writer failed");
            writer.kill().unwrap();
            writer.wait().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        let seen = reader.join().unwrap();
        println!("{kills} kills, {} publishes begun, {seen:?}", begun());
        assert!(seen.whole > kills / 10, "{seen:?}");
    });
    let last = contents(begun() + 1);
    let last: Vec<(&str, &str)> = NAMES.iter().copied().zip(last.iter().map(String::as_str)).collect();
    desk.publish(&mut desk.sink(), &last);
    desk.assert_shows(&last);
    assert!(own_names(desk.dir()).len() <= 4, "{:?}", own_names(desk.dir()));
}

#[test]
#[ignore = "the process that is killed by the test above"]
fn child_publishes_for_ever() {
    let dir = env::var_os("DIR").unwrap();
    let dir = Path::new(&dir);
    let counter = fs::OpenOptions::new().read(true).write(true).open(env::var_os("BEGUN").unwrap()).unwrap();
    let mut bytes = [0; 8];
    counter.read_exact_at(&mut bytes, 0).unwrap();
    let mut sink = FilesSink::new(&settings(dir));
    for number in u64::from_ne_bytes(bytes) + 1.. {
        counter.write_all_at(&number.to_ne_bytes(), 0).unwrap();
        let values = contents(number);
        let files: Vec<(&str, &str)> = NAMES.iter().copied().zip(values.iter().map(String::as_str)).collect();
        let published = try_publish(&mut sink, dir, &files).unwrap();
        assert_eq!(published.repaired, Vec::<String>::new());
        if number == u64::from_ne_bytes(bytes) + 1 {
            println!("own names {}", own_names(dir).len());
        }
    }
}

use proptest::prelude::*;

use super::*;

const SETTLE: Duration = Duration::from_secs(2);

fn now() -> Instant {
    crate::clock::system()().tick
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn names(names: &str) -> BTreeSet<SecretName> {
    names.chars().map(|name| SecretName::parse(&name.to_string()).unwrap()).collect()
}

/// One sink for each text of names, and one hook.
fn hooks(sinks: &[&str], hooks: &[&str]) -> Hooks {
    Hooks::new(sinks.iter().map(|held| names(held)), hooks.iter().map(|wanted| names(wanted)), SETTLE)
}

fn change(generation: u64, changed: &str) -> Change {
    Change { generation: Generation(generation), names: names(changed) }
}

impl Hooks {
    fn offer(&mut self, generation: u64, changed: &str, now: Instant) {
        self.changed(Generation(generation), &names(changed), &names(""), now);
    }

    fn show(&mut self, sink: usize, generation: u64) {
        self.shown(sink, Generation(generation), &names(""));
    }

    #[track_caller]
    fn assert_due(&mut self, now: Instant, expected: &[(usize, Change)]) {
        let due: Vec<_> = self.take_due(now).into_iter().map(|(hook, change)| (hook, (*change).clone())).collect();
        assert_eq!(due, expected);
    }
}

#[test]
fn a_change_is_told_once_to_those_who_want_to_hear_of_it_when_it_can_be_seen() {
    let now = now();
    let mut hooks = hooks(&["abc"], &["a", "bc", "abc"]);
    hooks.show(0, 1);
    assert_eq!(hooks.next_wake(), None, "the first whole is no change");
    hooks.offer(2, "a", now);
    assert_eq!(hooks.next_wake(), None, "nobody can see it yet");
    hooks.assert_due(now + SETTLE, &[]);
    hooks.show(0, 2);
    assert_eq!(hooks.next_wake(), Some(now + SETTLE));
    hooks.assert_due(now + SETTLE, &[(0, change(2, "a")), (2, change(2, "a"))]);
    hooks.succeeded(0);
    hooks.succeeded(2);
    hooks.show(0, 2);
    assert_eq!(hooks.next_wake(), None);
    hooks.assert_due(now + seconds(99), &[]);
}

#[test]
fn a_change_waits_for_every_directory_that_shows_it_and_for_no_other() {
    let now = now();
    let mut hooks = hooks(&["a", "ab", "b"], &["ab"]);
    for sink in 0..3 {
        hooks.show(sink, 1);
    }
    hooks.offer(2, "a", now);
    hooks.show(0, 2);
    hooks.assert_due(now + SETTLE, &[]);
    assert_eq!(hooks.next_wake(), None, "the publish is tried again, and wakes for itself");
    hooks.show(1, 2);
    hooks.assert_due(now + SETTLE, &[(0, change(2, "a"))]);
    hooks.succeeded(0);
    // A later whole shows what an earlier one brought.
    hooks.offer(3, "b", now);
    hooks.show(1, 4);
    hooks.show(2, 4);
    hooks.assert_due(now + SETTLE, &[(0, change(3, "b"))]);
}

#[test]
fn a_secret_in_no_directory_counts_when_its_change_has_settled() {
    let now = now();
    let mut hooks = hooks(&["b"], &["a"]);
    hooks.offer(2, "a", now);
    hooks.offer(3, "a", now + seconds(1));
    assert_eq!(hooks.next_wake(), Some(now + SETTLE), "the second does not wait anew");
    hooks.assert_due(now + SETTLE, &[(0, change(3, "a"))]);
}

#[test]
fn a_hook_that_fails_is_tried_again_alone_and_later_and_later() {
    let mut now = now();
    let mut hooks = hooks(&["ab"], &["a", "b"]);
    hooks.offer(2, "ab", now);
    hooks.show(0, 2);
    now += SETTLE;
    hooks.assert_due(now, &[(0, change(2, "a")), (1, change(2, "b"))]);
    hooks.succeeded(0);
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        hooks.failed(1, now);
        assert_eq!(hooks.next_wake(), Some(now + seconds(wait)));
        now += seconds(wait);
        hooks.assert_due(now, &[(1, change(2, "b"))]);
    }
    hooks.succeeded(1);
    assert_eq!(hooks.next_wake(), None);
    // A success is the end of it.
    hooks.offer(3, "b", now);
    hooks.show(0, 3);
    hooks.assert_due(now + SETTLE, &[(1, change(3, "b"))]);
    hooks.failed(1, now + SETTLE);
    assert_eq!(hooks.next_wake(), Some(now + SETTLE + seconds(1)));
}

#[test]
fn names_accumulate_until_somebody_was_told() {
    let now = now();
    let mut hooks = hooks(&["abc"], &["abc"]);
    hooks.offer(2, "a", now);
    hooks.show(0, 2);
    hooks.assert_due(now + SETTLE, &[(0, change(2, "a"))]);
    for _ in 0..5 {
        hooks.failed(0, now);
        hooks.take_due(now + seconds(99));
    }
    hooks.failed(0, now);
    // While it waits to be tried again, something else changes: what was to be told is told with it, and sooner.
    hooks.offer(3, "b", now);
    assert_eq!(hooks.next_wake(), Some(now + SETTLE));
    hooks.show(0, 3);
    assert_eq!(hooks.next_wake(), Some(now + SETTLE));
    hooks.assert_due(now + SETTLE, &[(0, change(3, "ab"))]);
    // And so while it runs: it is not run twice at a time, and not tried again for itself.
    hooks.offer(4, "c", now);
    hooks.show(0, 4);
    hooks.assert_due(now + seconds(99), &[]);
    assert_eq!(hooks.next_wake(), None);
    hooks.failed(0, now + seconds(1));
    hooks.assert_due(now + SETTLE, &[(0, change(4, "abc"))]);
    hooks.succeeded(0);
    // What it was told of it is not told again.
    hooks.offer(5, "a", now);
    hooks.show(0, 5);
    hooks.assert_due(now + SETTLE, &[(0, change(5, "a"))]);
}

#[test]
fn what_an_earlier_run_has_published_is_a_change_only_if_it_differs() {
    let now = now();
    let first_heard_of = |hooks: &mut Hooks, changed: &str, first: &str| {
        hooks.changed(Generation(2), &names(changed), &names(first), now);
    };
    let table: [(&str, &[&str], &str); 4] = [
        ("it was what it is", &["", ""], ""),
        ("one directory had another", &["", "a"], "a"),
        ("both had", &["a", "a"], "a"),
        ("another file differs", &["b", "b"], ""),
    ];
    for (what, differing, told) in table {
        let mut hooks = hooks(&["ab", "ab"], &["ab"]);
        first_heard_of(&mut hooks, "a", "a");
        for (sink, differing) in differing.iter().enumerate() {
            assert_eq!(hooks.next_wake(), None);
            hooks.shown(sink, Generation(2), &names(differing));
        }
        let expected: &[_] = if told.is_empty() { &[] } else { &[(0, change(2, told))] };
        hooks.assert_due(now + SETTLE, expected);
        assert_eq!(hooks.next_wake(), None, "{what}");
    }
    // It was taken away, which no value tells.
    let mut hooks = hooks(&["a"], &["a"]);
    first_heard_of(&mut hooks, "", "a");
    hooks.shown(0, Generation(2), &names("a"));
    hooks.assert_due(now + SETTLE, &[(0, change(2, "a"))]);
}

#[test]
fn what_is_unknown_in_one_whole_and_changes_in_the_next_has_changed() {
    let now = now();
    let mut hooks = hooks(&["a"], &["a"]);
    hooks.changed(Generation(2), &names("a"), &names("a"), now);
    hooks.offer(3, "a", now);
    hooks.show(0, 3);
    hooks.assert_due(now + SETTLE, &[(0, change(3, "a"))]);
}

#[test]
fn a_directory_that_cannot_be_published_to_silences_nobody_elses_names() {
    let mut now = now();
    let mut hooks = hooks(&["ab", "b"], &["ab"]);
    hooks.offer(2, "ab", now);
    hooks.show(0, 2);
    now += SETTLE;
    hooks.assert_due(now, &[(0, change(2, "a"))]);
    assert_eq!(hooks.next_wake(), None, "the publish is tried again, and wakes for itself");
    // A hook that fails meanwhile is not hurried by what still waits.
    hooks.failed(0, now);
    assert_eq!(hooks.next_wake(), Some(now + seconds(1)));
    hooks.show(1, 2);
    assert_eq!(hooks.next_wake(), Some(now + seconds(1)));
    now += seconds(1);
    hooks.assert_due(now, &[(0, change(2, "ab"))]);
    hooks.succeeded(0);
    // What comes while something is left settles by itself.
    hooks.offer(3, "b", now);
    hooks.show(0, 3);
    now += SETTLE;
    hooks.offer(4, "a", now);
    hooks.show(0, 4);
    assert_eq!(hooks.next_wake(), Some(now + SETTLE));
    hooks.show(1, 4);
    hooks.assert_due(now, &[(0, change(3, "b"))]);
    hooks.succeeded(0);
    hooks.assert_due(now + SETTLE, &[(0, change(4, "a"))]);
}

#[test]
fn what_another_plan_wants_no_more_is_not_told_again() {
    let now = now();
    let replan = |hooks: &mut Hooks, wanted: &str| hooks.replan([names("ab")], [names(wanted)], SETTLE);
    let mut hooks = hooks(&["ab"], &["ab"]);
    hooks.offer(2, "ab", now);
    hooks.show(0, 2);
    hooks.assert_due(now + SETTLE, &[(0, change(2, "ab"))]);
    replan(&mut hooks, "b");
    hooks.failed(0, now);
    hooks.assert_due(now + seconds(1), &[(0, change(2, "b"))]);
    replan(&mut hooks, "");
    hooks.failed(0, now);
    assert_eq!(hooks.next_wake(), None);
}

/// What may happen next.
#[derive(Debug, Clone)]
enum Step {
    Change(String),
    Show(usize),
    Wait(u64),
    End(usize, bool),
    /// What each sink holds, and what each hook wants, from now on.
    Replan(Vec<String>, Vec<String>),
}

fn step() -> impl Strategy<Value = Step> {
    let some = |count| prop::collection::vec("[abc]{0,3}", count);
    prop_oneof![
        4 => "[abc]{1,3}".prop_map(Step::Change),
        4 => (0..2usize).prop_map(Step::Show),
        4 => (0..90u64).prop_map(Step::Wait),
        4 => (0..3usize, any::<bool>()).prop_map(|(hook, well)| Step::End(hook, well)),
        1 => (some(2), some(3)).prop_map(|(held, wanted)| Step::Replan(held, wanted)),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_told_too_early_or_told_twice(steps in prop::collection::vec(step(), 0..60)) {
        let mut wanted = ["a", "bc", "abc"].map(names);
        let mut held = ["ab", "b"].map(names);
        let mut now = now();
        let mut hooks = Hooks::new(held.clone(), wanted.clone(), SETTLE);
        // Of each hook what it is to be told, by the generation that brought it; and what it is being told.
        let mut owed = [const { BTreeMap::<SecretName, u64>::new() }; 3];
        let mut running: [Option<Arc<Change>>; 3] = [const { None }; 3];
        let (mut generation, mut shows) = (1, [1, 1]);
        // At the end everything is shown, and everybody is well.
        let ends = || (0..3).map(|hook| Step::End(hook, true));
        let last = [Step::Show(0), Step::Show(1)].into_iter().chain(ends()).chain([Step::Wait(99)]);
        for step in steps.into_iter().chain(last.chain(ends())) {
            match step {
                Step::Change(changed) => {
                    generation += 1;
                    hooks.offer(generation, &changed, now);
                    for (owed, wanted) in owed.iter_mut().zip(&wanted) {
                        owed.extend(names(&changed).intersection(wanted).map(|name| (name.clone(), generation)));
                    }
                }
                Step::Show(sink) => {
                    shows[sink] = generation;
                    hooks.show(sink, generation);
                }
                Step::Wait(wait) => now += seconds(wait),
                Step::End(hook, well) => if let Some(change) = running[hook].take() {
                    if well {
                        hooks.succeeded(hook);
                    } else {
                        hooks.failed(hook, now);
                        for name in change.names.intersection(&wanted[hook]) {
                            owed[hook].entry(name.clone()).or_insert(change.generation.0);
                        }
                    }
                },
                Step::Replan(holds, wants) => {
                    held = [0, 1].map(|sink: usize| names(&holds[sink]));
                    wanted = [0, 1, 2].map(|hook: usize| names(&wants[hook]));
                    hooks.replan(held.clone(), wanted.clone(), SETTLE);
                    for (owed, wanted) in owed.iter_mut().zip(&wanted) {
                        owed.retain(|name, _| wanted.contains(name));
                    }
                }
            }
            prop_assert!(hooks.next_wake().is_none_or(|wake| wake <= now + seconds(60)));
            let awake = hooks.next_wake().is_some_and(|wake| wake <= now);
            let due = hooks.take_due(now);
            prop_assert_eq!(awake, !due.is_empty(), "a wake has a reason");
            for (hook, change) in due {
                prop_assert!(running[hook].is_none(), "not twice at a time");
                prop_assert!(!change.names.is_empty());
                let mut newest = 0;
                for name in &change.names {
                    let since = owed[hook].remove(name);
                    prop_assert!(since.is_some(), "nobody owes it {name}");
                    newest = newest.max(since.unwrap());
                    for (held, shows) in held.iter().zip(shows) {
                        prop_assert!(!held.contains(name) || Some(shows) >= since, "nobody can see it yet");
                    }
                }
                prop_assert_eq!(change.generation.0, newest);
                running[hook] = Some(change);
            }
        }
        prop_assert!(owed.iter().all(BTreeMap::is_empty), "{:?}", owed);
    }
}

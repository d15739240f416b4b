use std::collections::BTreeMap;

use super::*;
use crate::reference::SecretName;
use crate::secret::Version;
use crate::serve::values::board::tests::{shown, whole};

fn name(name: &str) -> SecretName {
    SecretName::parse(name).unwrap()
}

fn wish(text: &str) -> Wish {
    Wish { name: name(text), part: None, wait: None, json: false }
}

fn code(found: Result<Found, Refusal>) -> (u16, &'static str) {
    let refusal = found.unwrap_err();
    (refusal.status.as_u16(), refusal.code)
}

#[test]
fn what_may_not_be_seen_is_as_if_it_were_not_there() {
    let shown = shown(&[whole(1, &[("db", "x"), ("other", "y")])]);
    let only = Visible::Only([name("db")].into());
    assert!(find(&wish("db"), Some(&shown), &only).is_ok());
    let forbidden = find(&wish("other"), Some(&shown), &only).unwrap_err();
    assert_eq!(forbidden, find(&wish("absent"), Some(&shown), &only).unwrap_err());
    assert_eq!(forbidden, find(&wish("absent"), Some(&shown), &Visible::All).unwrap_err());
    // Even before there is anything.
    assert_eq!(forbidden, find(&wish("other"), None, &only).unwrap_err());
    assert_eq!(code(find(&wish("db"), None, &only)), (503, "NoValueYet"));
}

#[test]
fn what_is_not_known_yet_is_no_reason_to_go_away() {
    let mut snapshot = Arc::into_inner(whole(1, &[("db", "x")])).unwrap();
    snapshot.unknown.insert(name("late"));
    let shown = shown(&[Arc::new(snapshot)]);
    assert_eq!(code(find(&wish("late"), Some(&shown), &Visible::All)), (503, "NoValueYet"));
    assert_eq!(code(find(&wish("absent"), Some(&shown), &Visible::All)), (404, "SecretNotFound"));
}

#[test]
fn of_a_certificate_a_part_is_chosen() {
    let value = |text: &str| SecretValue::new(text.as_bytes().to_vec());
    let of = |parts: &[Part]| {
        let parts = parts.iter().map(|part| (*part, value(part.name()))).collect();
        let secret = Secret { version: Version::Unversioned, parts, missing: BTreeMap::new() };
        let mut snapshot = Arc::into_inner(whole(1, &[])).unwrap();
        snapshot.secrets.insert(name("web"), Arc::new(secret));
        shown(&[Arc::new(snapshot)])
    };
    let part =
        |shown: &Shown, part| find(&Wish { part, ..wish("web") }, Some(shown), &Visible::All).map(|found| found.part);
    let several = of(&[Part::Fullchain, Part::Key]);
    assert_eq!(part(&several, Some(Part::Key)).unwrap(), Part::Key);
    let refusal = part(&several, None).unwrap_err();
    assert_eq!(refusal.message, "choose one of its parts with '?part=': fullchain, key");
    assert_eq!(part(&several, Some(Part::Pfx)).unwrap_err().code, "PartNotFound");
    assert_eq!(part(&of(&[Part::Bundle, Part::Leaf]), None).unwrap(), Part::Bundle);
    assert_eq!(part(&of(&[Part::Key]), None).unwrap(), Part::Key);
    let plain = of(&[Part::Value]);
    assert_eq!(part(&plain, None).unwrap(), Part::Value);
    assert_eq!(part(&plain, Some(Part::Key)).unwrap_err().message, "this secret has no parts: ask without 'part'");
}

#[test]
fn a_tag_is_this_run_s_and_of_one_form() {
    let mut headers = HeaderMap::new();
    headers.append(IF_NONE_MATCH, "\"other\", W/\"r1-1\"".parse().unwrap());
    let known = |run, json, since| Tags { run, json, headers: &headers }.include(Generation(since));
    assert!(known("r1", false, 1));
    assert!(!known("r2", false, 1) && !known("r1", true, 1) && !known("r1", false, 2));
    assert_eq!(Tags { run: "r1", json: true, headers: &headers }.tag(Generation(7)), "\"r1-7-json\"");
    let none = HeaderMap::new();
    assert!(!Tags { run: "r1", json: false, headers: &none }.include(Generation(1)));
    headers.append(IF_NONE_MATCH, "*".parse().unwrap());
    assert!(Tags { run: "r2", json: false, headers: &headers }.include(Generation(9)));
}

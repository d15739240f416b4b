//! Holds the house in shape: who may import whom, how long a file may be, what every file begins with.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The floors, from the ground up. A room may import rooms of floors below its own and, on the pure floors 0, 1 and the
/// top floor, rooms beside it; an edge never imports another edge.
const FLOORS: [&[&str]; 5] = [
    &["der", "moment", "medium", "pem", "reference", "secret"],
    &[
        "advice",
        "certificate",
        "config",
        "extract",
        "failure",
        "metrics",
        "plan",
        "ports",
        "public_key",
        "render",
        "renewal",
        "rollout",
        "schedule",
        "snapshot",
        "status",
        "survey",
    ],
    &["azure", "clock", "files", "local", "logs", "process", "serve", "watch"],
    &["agent"],
    &["cli", "command", "exit", "lib", "main"],
];
const EDGES: usize = 2;

/// The files and folders of `azure/` in their order: each imports only those before it.
const AZURE: [&str; 15] = [
    "roots",
    "resolve",
    "transport",
    "door",
    "flight",
    "answer",
    "refusal",
    "entra",
    "tokens",
    "challenge",
    "bearer",
    "greeting",
    "identity",
    "vault",
    "workspace",
];

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The room a file of `src/` belongs to: its first folder, or its own name.
fn room(path: &Path) -> String {
    let relative = path.strip_prefix(Path::new(ROOT).join("src")).unwrap();
    relative.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

fn is_test(path: &Path) -> bool {
    let path = path.strip_prefix(ROOT).unwrap();
    path.file_name().is_some_and(|name| name == "tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

fn floor(room: &str) -> usize {
    FLOORS.iter().position(|rooms| rooms.contains(&room)).unwrap_or_else(|| panic!("'{room}' is on no floor"))
}

/// The names that come next after a path, such as `crate::`, anywhere in the code; of a list in braces each.
fn names_after(text: &str, path: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    let whole = |at: usize| !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
    for (at, _) in text.match_indices(path).filter(|(at, _)| whole(*at)) {
        let rest = &text[at + path.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.push(word(rest));
            continue;
        };
        let (mut depth, mut begins) = (0, true);
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' => begins = depth == 0,
                c if c.is_whitespace() => {}
                _ if begins => {
                    names.push(word(&list[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    names
}

/// The rooms that a file names. Of a room's own file, what is beside it is a room as well.
fn imports(path: &Path, text: &str) -> Vec<String> {
    let mut rooms = names_after(text, "crate::");
    let source = Path::new(ROOT).join("src");
    if path.parent() == Some(&source) || path.file_name().is_some_and(|name| name == "mod.rs") {
        let beside = names_after(text, "super::").into_iter();
        rooms.extend(beside.filter(|name| FLOORS.iter().any(|rooms| rooms.contains(&name.as_str()))));
    }
    rooms
}

#[test]
fn the_names_are_found() {
    let text = "use crate::{a::{b, c}, d};\nuse crate::e::f; let x = crate::g(); use mycrate::no; crate::h::crate::no";
    assert_eq!(names_after(text, "crate::"), ["a", "d", "e", "g", "h"]);
}

#[test]
fn arrows_point_down() {
    for (path, text) in sources("src") {
        if is_test(&path) {
            continue;
        }
        let own = room(&path);
        for imported in imports(&path, &text) {
            let (from, to) = (floor(&own), floor(&imported));
            let beside = own == imported || from == to && from != EDGES;
            assert!(to < from || beside, "{} (floor {from}) imports {imported} (floor {to})", path.display());
        }
    }
}

#[test]
fn inside_azure_the_order_holds() {
    let azure = Path::new(ROOT).join("src/azure");
    let place = |name: &str| AZURE.iter().position(|known| *known == name);
    for (path, text) in sources("src/azure") {
        let first = path.strip_prefix(&azure).unwrap().components().next().unwrap();
        let own = first.as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if own == "mod" || is_test(&path) {
            continue;
        }
        let at = place(own).unwrap_or_else(|| panic!("azure/{own} has no place in the order"));
        let beside = if path.parent() == Some(&azure) { names_after(&text, "super::") } else { Vec::new() };
        for other in names_after(&text, "crate::azure::").into_iter().chain(beside) {
            let earlier = place(&other).is_none_or(|place| place < at || other == own);
            assert!(earlier, "{} imports {other}, which comes after it", path.display());
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_know() {
    for folder in ["src", "tests", "examples", "benches"] {
        for (path, text) in sources(folder) {
            let shown = path.display();
            let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
            let is_product = !is_test(&path) || path.starts_with(Path::new(ROOT).join("tests/emulator/src"));
            assert!(!is_product || lines <= 400, "{shown} has {lines} lines");
            let excused = is_test(&path) && folder == "src";
            assert!(excused || text.starts_with("//!"), "{shown} does not begin with //!");
        }
    }
}

#[test]
fn nothing_is_printed_and_no_room_is_a_drawer() {
    for (path, text) in sources("src") {
        for word in ["println!", "eprintln!", "print!(", "unsafe {", "todo!"] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(!["util", "utils", "common", "helpers", "types", "constants", "manager"].contains(&name), "{name}");
    }
}

#[test]
fn unit_tests_live_in_files_of_their_own() {
    for (path, text) in sources("src") {
        assert!(!text.contains("mod tests {"), "{}", path.display());
    }
}

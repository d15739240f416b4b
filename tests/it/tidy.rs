//! Holds the house in shape: who may import whom, how long a file may be, what every file begins with.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The floors, from the ground up. A room may import rooms of floors below its own and, on the pure floors 0, 1 and the
/// top floor, rooms beside it; an edge never imports another edge.
const FLOORS: [&[&str]; 5] = [
    &["der", "moment", "pem", "reference", "secret"],
    &[
        "advice",
        "certificate",
        "config",
        "extract",
        "failure",
        "plan",
        "ports",
        "public_key",
        "rollout",
        "schedule",
        "snapshot",
        "status",
    ],
    &["azure", "clock", "files", "local", "logs", "process"],
    &["agent"],
    &["cli", "command", "exit", "lib", "main"],
];
const EDGES: usize = 2;

/// The files of `azure/` in their order: each imports only those before it.
const AZURE: [&str; 11] =
    ["roots", "resolve", "transport", "door", "flight", "answer", "entra", "tokens", "challenge", "bearer", "vault"];

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
    path.file_name().is_some_and(|name| name == "tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

fn floor(room: &str) -> usize {
    FLOORS.iter().position(|rooms| rooms.contains(&room)).unwrap_or_else(|| panic!("'{room}' is on no floor"))
}

/// The rooms that are named after `crate::` anywhere in the code.
fn imports(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => {
                list.split('}').next().unwrap().split(',').map(|name| name.trim().split("::").next().unwrap()).collect()
            }
            None => vec![rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap()],
        };
        rooms.extend(names.into_iter().map(|name| name.split(' ').next().unwrap().to_owned()));
    }
    rooms
}

#[test]
fn arrows_point_down() {
    for (path, text) in sources("src") {
        if is_test(&path) {
            continue;
        }
        let own = room(&path);
        for imported in imports(&text) {
            let (from, to) = (floor(&own), floor(&imported));
            let beside = own == imported || from == to && from != EDGES;
            assert!(to < from || beside, "{} (floor {from}) imports {imported} (floor {to})", path.display());
        }
    }
}

#[test]
fn inside_azure_the_order_holds() {
    for (number, name) in AZURE.iter().enumerate() {
        let text = fs::read_to_string(Path::new(ROOT).join(format!("src/azure/{name}.rs"))).unwrap();
        for later in AZURE.iter().skip(number) {
            for import in [format!("super::{later}::"), format!("crate::azure::{later}::")] {
                assert!(!text.contains(&import), "azure/{name}.rs imports {later}, which comes after it");
            }
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

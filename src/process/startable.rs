//! Whether the kernel would start a command, asked before anything is ended for it: whether it is there, and whether its
//! arguments and variables are not too long together (execve(2)).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Access, FileType, Mode, OFlags, access, open, stat};
use rustix::io::{Errno, read};
use rustix::process::{Resource, getrlimit};

use super::environment::inherited;

/// What any process may be given, at the least and at the most.
const LEAST: u64 = 128 << 10;
const MOST: u64 = 6 << 20;
/// How much the kernel reads of a file to know what it is (`BINPRM_BUF_SIZE`): a script's interpreter is given as well.
const BEGINNING: usize = 256;
/// Where a program is looked for without PATH: in all that the C libraries name.
const WITHOUT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// How long the value of each variable is.
type Lengths = BTreeMap<OsString, usize>;

/// Says why the command's program could not be executed, and what to do. That it could is no promise: it may be gone a moment
/// later, be written to just now, or be nothing that the kernel knows.
pub fn is_there(command: &Command) -> Result<(), String> {
    found(command.get_program(), path(command).as_deref()).map(drop)
}

/// Says why the kernel would not take the command's arguments and variables, and what to do.
pub fn fits(command: &Command) -> Result<(), String> {
    // Where the program was found is given beside its name, of a script twice.
    let found = found(command.get_program(), path(command).as_deref());
    let beside = found.map_or(0, |found| found.as_os_str().len().saturating_mul(2)).saturating_add(BEGINNING);
    fit(command, &lengths(command), most(getrlimit(Resource::Stack).current).saturating_sub(to_u64(beside)))
}

/// The command's PATH.
fn path(command: &Command) -> Option<OsString> {
    let own = command.get_envs().find_map(|(name, value)| (name == "PATH").then_some(value));
    let given = || inherited().find_map(|(name, value)| (name == "PATH").then_some(value));
    own.map_or_else(given, |own| own.map(OsStr::to_owned))
}

/// The command's variables.
fn lengths(command: &Command) -> Lengths {
    let mut lengths: Lengths = inherited().map(|(name, value)| (name, value.len())).collect();
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => lengths.insert(name.to_owned(), value.len()),
            None => lengths.remove(name),
        };
    }
    lengths
}

/// The file that would be executed.
fn found(program: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, String> {
    let candidates: Vec<PathBuf> = if program.as_bytes().contains(&b'/') {
        vec![program.into()]
    } else {
        let path = path.unwrap_or(OsStr::new(WITHOUT_PATH));
        std::env::split_paths(path).map(|dir| dir.join(program)).collect()
    };
    let shown = program.to_string_lossy();
    let mut wrong = format!("'{shown}' is not there any more: put it back");
    for candidate in candidates {
        match may_be_executed(&candidate) {
            Ok(()) => match unusable(&candidate) {
                None => return Ok(candidate),
                Some(why) => wrong = format!("'{shown}' {why}"),
            },
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(_) => wrong = format!("'{shown}' is no file any more that this user may execute: make it one"),
        }
    }
    Err(wrong)
}

/// Why a file could not be executed that may be. Of what may not be read nothing is known, and what is neither a script nor a
/// program may be something that others know (`binfmt_misc`).
fn unusable(path: &Path) -> Option<String> {
    let beginning = beginning(path)?;
    if beginning.is_empty() {
        return Some("is empty: put it back".to_owned());
    }
    let interpreter = interpreter(&beginning).filter(|interpreter| may_be_executed(interpreter).is_err())?;
    Some(format!("is a script for '{}', which cannot be executed: put that back", interpreter.display()))
}

/// What a script is for. A carriage return is part of it, for the kernel too.
fn interpreter(beginning: &[u8]) -> Option<&Path> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let line = beginning.strip_prefix(b"#!")?.split(|byte| matches!(byte, b'\n' | 0)).next()?;
    let path = line.split(is_blank).find(|word| !word.is_empty()).unwrap_or_default();
    Some(Path::new(OsStr::from_bytes(path)))
}

fn may_be_executed(path: &Path) -> Result<(), Errno> {
    // A directory may be executed in another sense.
    if FileType::from_raw_mode(stat(path)?.st_mode) != FileType::RegularFile {
        return Err(Errno::ACCESS);
    }
    access(path, Access::EXEC_OK)
}

fn beginning(path: &Path) -> Option<Vec<u8>> {
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).ok()?;
    let mut bytes = vec![0; BEGINNING];
    let length = read(&file, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// How many bytes arguments and variables may be together, under this limit of the stack.
fn most(stack: Option<u64>) -> u64 {
    stack.map_or(MOST, |stack| stack / 4).clamp(LEAST, MOST)
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn fit(command: &Command, lengths: &Lengths, most: u64) -> Result<(), String> {
    // Each ends with a NUL, and a pointer leads to it.
    const EACH: usize = 1 + size_of::<usize>();
    let arguments = [command.get_program()].into_iter().chain(command.get_args()).map(OsStr::len);
    let variables = || lengths.iter().map(|(name, length)| name.len().saturating_add(1).saturating_add(*length));
    let sum = |sum: usize, length: usize| sum.saturating_add(length).saturating_add(EACH);
    let length = to_u64(arguments.chain(variables()).fold(0, sum));
    if length <= most {
        return Ok(());
    }
    let longest = lengths.keys().zip(variables()).max_by_key(|(_, length)| *length);
    let longest = longest.map(|(name, length)| format!(", such as {} of {} KiB", name.to_string_lossy(), length >> 10));
    Err(format!(
        "its arguments and variables would be {} KiB together, and the kernel gives this process's command {} KiB at most (a \
         quarter of its limit for the stack, 'ulimit -s', but no more than 6 MiB): let it read the longest values from \
         files{}",
        length.div_ceil(1 << 10),
        most >> 10,
        longest.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests;

//! Where secrets go, and who is told: directories, the files of endpoints, hooks; looked at without touching them.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::report::{Checked, Report, Trouble, What};
use crate::agent::few;
use crate::command::start;
use crate::config::Config;
use crate::config::serve::Callers;
use crate::exit::Exit;
use crate::files::FilesSink;
use crate::medium::Medium;
use crate::ports::{HookError, Reach};
use crate::process;
use crate::reference::SecretName;
use crate::serve::{Listener, token_file};

const ON_DISK: &str = "is not on tmpfs: secrets are written to a disk, because 'allowDisk' lets them";
const LATER: &str = "an application that has yet to start is looked for when there is something to tell it";
/// Longer than a look at every process takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether an agent would publish something by it.
pub(super) fn is_agents(config: &Config) -> bool {
    !config.files.is_empty() || !config.on_change.is_empty() || config.serve.has_values()
}

/// What is fetched and goes nowhere. Where variables are all that is made, they are a command's, started by `exec`.
pub(super) fn nowhere(config: &Config) -> Option<String> {
    if is_agents(config) || config.env.0.is_empty() {
        return start::unpublished(config);
    }
    let used: BTreeSet<&SecretName> = config.env.uses().map(|(name, _)| name).collect();
    let unused: Vec<&str> = config.secrets.keys().filter(|name| !used.contains(name)).map(SecretName::as_str).collect();
    (!unused.is_empty()).then(|| {
        format!(
            "in no variable, so that no command gets it: {}; add them to 'env', or 'files' such as 'files: {{dir: /run/keyferry}}', or \
             'serve'",
            few(&unused)
        )
    })
}

/// Whether each directory could be published to.
pub(super) fn directories(config: &Config, report: &mut Report) {
    for directory in &config.files {
        let checked = Checked::new(What::Directory, directory.dir.display(), "");
        report.add(match FilesSink::new(directory).inspect() {
            Ok(Medium::Disk) => checked.warns(ON_DISK),
            Ok(Medium::Memory) if process::may_be_swapped(&directory.dir) => checked.warns(start::SWAPPED),
            Ok(Medium::Memory) => checked,
            Err(error) => checked.which(Err(Trouble::new(Exit::CannotWrite, error.to_string()))),
        });
    }
}

/// Whether the files of endpoints could be where they are to be. Ports are not tried: a running agent has them.
pub(super) fn endpoints(config: &Config, report: &mut Report) {
    let mut add = |name: &str, tried: Result<(), String>| {
        let tried = tried.map_err(|reason| Trouble::new(Exit::Config, format!("{name} {reason}")));
        report.add(Checked::new(What::Endpoint, name, "").which(tried));
    };
    if let Some(socket) = &config.serve.socket {
        add("serve.socket.path", Listener::inspect_socket(&socket.path));
    }
    let http = config.serve.http.iter().map(|http| ("serve.http.tokenFile", &http.callers));
    let tokens = config.serve.tokens.iter().map(|tokens| ("serve.tokens.tokenFile", &tokens.callers));
    for (name, callers) in http.chain(tokens) {
        if let Callers::Bearer(file) = callers {
            add(name, token_file::inspect(file, config.serve.allow_disk));
        }
    }
}

/// Whether each hook could tell. Who is told of a change may well be started after this: that nobody is there yet is no
/// failure, but that nobody ever could be told is.
pub(super) async fn hooks(config: &Config, report: &mut Report) {
    for hook in start::hooks(config) {
        let name = hook.name().to_owned();
        // A pid file may lie on a file system that hangs.
        let looked = timeout(PATIENCE, spawn_blocking(move || hook.check())).await;
        let looked = looked.ok().and_then(Result::ok).unwrap_or_else(|| Err(hangs()));
        let checked = Checked::new(What::Hook, name, "");
        report.add(match looked {
            Ok(Reach::Now) => checked,
            Ok(Reach::NotYet(error)) => checked.warns(format!("{error}; {LATER}")),
            Ok(Reach::Unknown) => checked.but_untried("not called: whoever listens there would act on it"),
            Err(error) => checked.which(Err(Trouble::new(Exit::Config, error.to_string()))),
        });
    }
}

fn hangs() -> HookError {
    HookError::new(
        format!("a look took longer than {} seconds", PATIENCE.as_secs()),
        "look at the file system of the pid file",
    )
}

//! The commands: each joins the loop and the edges in its own way. The only place that names concrete edges.

mod admin;
mod check;
mod env;
mod exec;
mod follow;
mod get;
mod init;
mod install;
mod once;
mod run;
mod serve;
mod sources;
mod start;
mod status;
mod stdout;
mod table;
mod tokens;

use std::collections::BTreeMap;

use tokio::runtime::Builder;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::process::Cores;

/// Why a command ended otherwise than well: the lines for the person who reads it, and the exit code.
#[derive(Debug, Clone)]
pub struct Ended {
    /// How the process ends.
    pub exit: Exit,
    /// What to say, a line each.
    pub lines: Vec<String>,
}

impl Ended {
    /// With one line to say.
    pub fn new(exit: Exit, line: impl Into<String>) -> Self {
        Self { exit, lines: vec![line.into()] }
    }
}

/// Runs the command to its end.
pub fn execute(cli: Cli, environment: &BTreeMap<String, String>, cores: &Cores) -> Result<(), Ended> {
    if !matches!(cli.command, Command::Exec(_)) {
        cores.forgo().map_err(|line| Ended::new(Exit::Bug, line))?;
    }
    // One thread, and helpers that end soon: an idle agent has nothing that could wake it up. There are several,
    // because a name look-up that hangs keeps its own, and must not keep the others from theirs.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .thread_keep_alive(std::time::Duration::from_millis(200))
        .build()
        .map_err(|error| Ended::new(Exit::Bug, format!("the runtime cannot be started: {error}")))?;
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Init { timeout } => init::init(&cli.global, timeout, environment).await,
            Command::Run => run::run(&cli.global, environment).await,
            Command::Env { output, show } => env::env(&cli.global, output, show, environment).await,
            Command::Check { offline, output } => check::check(&cli.global, offline, output, environment).await,
            Command::Exec(options) => exec::exec(&cli.global, &options, environment, cores).await,
            Command::Status { ready, output } => status::status(&cli.global, ready, output, environment).await,
            Command::Install { dir } => install::install(&dir),
            Command::Refresh => status::refresh(&cli.global, environment).await,
            Command::Get { what, show } => get::get(&cli.global, &what, show, environment).await,
        }
    });
    // A name look-up that hangs in the resolver's thread must not hold up the end.
    runtime.shutdown_background();
    ended
}

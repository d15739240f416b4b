//! keyferry: a small secret-fetching agent for Azure.
//!
//! The floors, each of which may import only those below it (held by `tests/it/tidy.rs`):
//! 0 `secret`, `reference`, `der`, `pem` · 1 the pure rooms · 2 the edges, one outside system each · 3 `agent`, the loop ·
//! 4 `cli`, `exit`, `command`: composition.

mod der;
pub mod secret;

pub mod medium;
pub mod moment;
mod pem;
pub mod reference;

pub mod advice;
pub mod certificate;
pub mod config;
pub mod extract;
pub mod failure;
pub mod metrics;
pub mod plan;
pub mod ports;
pub mod public_key;
pub mod render;
pub mod renewal;
pub mod rollout;
pub mod schedule;
pub mod snapshot;
pub mod status;
pub mod survey;

pub mod azure;
pub mod clock;
pub mod files;
pub mod local;
pub mod logs;
pub mod process;
pub mod serve;
pub mod watch;

pub mod agent;

pub mod cli;
pub mod command;
pub mod exit;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use tracing::level_filters::LevelFilter;

use exit::Exit;

/// The whole program: what `main` calls.
pub fn main() -> ExitCode {
    // Before anything else: nothing may be seen of what comes.
    let hardened = process::harden();
    process::exit_on_panic(Exit::Bug.code());
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; everything else is a mistake. Where nobody reads it, nothing can be done.
            drop(error.print());
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked { Exit::Ok } else { Exit::Usage }.code());
        }
    };
    let told_at_the_end = matches!(cli.command, cli::Command::Get { .. });
    let json = logs::begin(cli.global.log_format, cli.global.log_level, told_at_the_end)
        && cli.global.log_level >= LevelFilter::ERROR;
    let environment = process::environment();
    let ended = match hardened {
        Ok(cores) => command::execute(cli, &environment, &cores),
        Err(line) => Err(command::Ended::new(Exit::Bug, line)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(ended) => {
            for line in &ended.lines {
                // Where the log is JSON a program reads it; the log's silence does not hide why it ended.
                if json { tracing::error!("{line}") } else { drop(writeln!(std::io::stderr(), "keyferry: {line}")) }
            }
            ExitCode::from(ended.exit.code())
        }
    }
}

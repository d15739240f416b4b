//! The Azure CLI's login, for a laptop: `az` is asked for a token.
//!
//! Its pipes are read by the runtime, because the few threads for blocking work are needed by name look-ups, and no
//! `tokio::process`, because that would reap others' children. Nothing that it prints is repeated.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process, waitid};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{sleep, timeout};

use super::expiry;
use crate::azure::entra::meaning_in;
use crate::azure::tokens::{Exchange, Token};
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::{Clock, UnixTime};
use crate::secret::SecretValue;

pub(super) const NOT_INSTALLED: &str = "az-not-installed";
/// A cold start of `az` takes seconds, and it may have to ask Entra; shorter than a whole attempt.
const PATIENCE: Duration = Duration::from_secs(15);
/// It has closed its pipes and is about to end.
const ENDS_SOON: Duration = Duration::from_millis(10);
const LONGEST_OUTPUT: u64 = 256 << 10;
/// An `az` before 2.54 tells the end in its own time zone only. It hands out no token with less than five minutes left.
const UNTOLD_LIFE: Duration = Duration::from_mins(5);

/// Asks `az` for tokens.
#[derive(Debug)]
pub(super) struct AzureCli {
    program: PathBuf,
    tenant: Option<String>,
}

/// What `az account get-access-token` prints.
#[derive(Deserialize)]
struct Granted {
    #[serde(rename = "accessToken")]
    access_token: String,
    expires_on: Option<Value>,
}

impl AzureCli {
    pub(super) fn new(tenant: Option<String>) -> Self {
        Self { program: "az".into(), tenant }
    }

    fn command(&self, scope: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["account", "get-access-token", "--output", "json", "--scope", scope]);
        if let Some(tenant) = &self.tenant {
            command.args(["--tenant", tenant]);
        }
        // `az` is a script around an interpreter: a group of its own lets both be ended together.
        command
            .env("AZURE_CORE_NO_COLOR", "true")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

#[async_trait::async_trait]
impl Exchange for AzureCli {
    async fn exchange(&self, scope: &str, clock: &Clock) -> Result<Token, Failure> {
        let child = self.command(scope).spawn().map_err(|error| cannot_start(&error))?;
        let mut running = Running { child, ended: false };
        let output = running.within(PATIENCE).await?;
        let now = clock();
        let (token, life) = output.token(now.wall)?;
        Ok(Token::new(token, life, now.tick))
    }
}

fn failure(kind: Kind, code: &str) -> Failure {
    Failure::new(Blame::Identity, kind, Code::new(code))
}

fn cannot_start(error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            failure(Kind::Missing, NOT_INSTALLED).because("there is no 'az' in the directories of PATH")
        }
        _ => failure(Kind::Missing, "az-unusable").because(format!("'az' cannot be started: {error}")),
    }
}

/// An `az` that was started. It and what it has started do not outlive this.
struct Running {
    child: Child,
    /// Its exit was seen: its process id is no longer its own.
    ended: bool,
}

impl Running {
    async fn within(&mut self, patience: Duration) -> Result<Output, Failure> {
        let output = timeout(patience, self.output()).await.map_err(|_| {
            failure(Kind::Outage, "az-timeout").because("the Azure CLI gave no token within 15 seconds and was ended")
        })?;
        output.map_err(|_| failure(Kind::Outage, "az-failed"))
    }

    async fn output(&mut self) -> std::io::Result<Output> {
        let closed = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let stdout: OwnedFd = self.child.stdout.take().ok_or_else(closed)?.into();
        let stderr: OwnedFd = self.child.stderr.take().ok_or_else(closed)?.into();
        let (stdout, stderr) = tokio::try_join!(read(stdout), read(stderr))?;
        let succeeded = loop {
            match self.child.try_wait() {
                Ok(None) => sleep(ENDS_SOON).await,
                Ok(Some(status)) => break status.code() == Some(0),
                // Somebody else has reaped it: what it printed must do.
                Err(_) => break !stdout.expose().is_empty(),
            }
        };
        self.ended = true;
        Ok(Output { succeeded, stdout, stderr })
    }
}

async fn read(pipe: OwnedFd) -> std::io::Result<SecretValue> {
    let mut bytes = Vec::with_capacity(16 << 10);
    let mut pipe = Receiver::from_owned_fd(pipe)?.take(LONGEST_OUTPUT);
    pipe.read_to_end(&mut bytes).await?;
    Ok(SecretValue::new(bytes))
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // Where somebody else has reaped it, whoever has its number now is another, and leads another group.
        let is_its_own = |group: &Pid| {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            waitid(WaitId::Pid(*group), look).is_ok() || test_kill_process(*group) == Err(Errno::SRCH)
        };
        // It cannot refuse, so that waiting for it takes no time.
        if group.filter(is_its_own).is_some_and(|group| kill_process_group(group, Signal::KILL).is_ok()) {
            drop(self.child.wait());
        }
    }
}

#[derive(Debug)]
struct Output {
    succeeded: bool,
    stdout: SecretValue,
    stderr: SecretValue,
}

impl Output {
    fn token(&self, now: UnixTime) -> Result<(SecretValue, Duration), Failure> {
        if !self.succeeded {
            return Err(self.failure());
        }
        let unusable =
            || failure(Kind::Outage, "az-bad-answer").because("the Azure CLI's answer holds no access token");
        let granted: Granted = serde_json::from_slice(self.stdout.expose()).map_err(|_| unusable())?;
        let token = SecretValue::new(granted.access_token.into_bytes());
        // A token becomes part of a header.
        if token.expose().is_empty() || !token.expose().iter().all(u8::is_ascii_graphic) {
            return Err(unusable());
        }
        let told = granted.expires_on.as_ref();
        let life = told.map_or(Some(UNTOLD_LIFE), |_| expiry::life(told, None, now)).ok_or_else(unusable)?;
        Ok((token, life))
    }

    /// Known words of its complaint, and Entra's codes; the complaint itself names accounts and tenants.
    fn failure(&self) -> Failure {
        let complaint = String::from_utf8_lossy(self.stderr.expose());
        match meaning_in(&complaint) {
            // It ends whatever Entra says with the advice to log in: only a denial is one of whoever is logged in.
            Some(failure) if (failure.blame, failure.kind) != (Blame::Identity, Kind::Denied) => failure,
            _ if complaint.contains("az login") => {
                failure(Kind::Denied, "az-not-logged-in").because("the Azure CLI wants a new login")
            }
            Some(failure) => failure,
            None => {
                failure(Kind::Outage, "az-failed").because("the Azure CLI failed for another reason than its login")
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! `keyferry status`: what a running agent knows. `keyferry refresh`: have it fetch everything anew.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use hyper::Method;

use super::table::table;
use super::{Ended, start, stdout};
use crate::cli::{Global, Shape};
use crate::config::Config;
use crate::config::admin::Listen;
use crate::exit::Exit;
use crate::local::{Believed, Reply, Silence, ask, probe};
use crate::moment::roughly;
use crate::status::{DirectoryReport, HookReport, Report, SecretReport};
use crate::{clock, process};

type Environment = BTreeMap<String, String>;

pub(super) async fn status(global: &Global, ready: bool, shape: Shape, environment: &Environment) -> Result<(), Ended> {
    let (config, _) = start::configuration(global, environment)?;
    // A port that the kernel chooses is known to nobody else.
    let port = config.admin.as_ref().map(|admin| beside(admin.listen)).filter(|address| ready && address.port() != 0);
    if let Some(address) = port {
        let reply = probe(address, "/readyz").await.map_err(unanswered)?;
        return if reply.status == 200 { Ok(()) } else { Err(said(&reply)) };
    }
    if ready && config.serve.socket.is_none() {
        let line = "the configuration opens nothing to ask at: add 'admin: {listen: \":8211\"}', or 'serve: {socket: {path: …}}'";
        return Err(Ended::new(Exit::Config, line));
    }
    let reply = at_socket(&config, Method::GET, "/v1/status").await?.map_err(unanswered)?;
    let text = answer(&reply)?.expose();
    let report: Report = serde_json::from_slice(text)
        .map_err(|_| Ended::new(Exit::Unavailable, "the agent answers in another way than this version does"))?;
    if !ready {
        match shape {
            Shape::Json => stdout::write(&[text])?,
            Shape::Table => stdout::write(&[shown(&report, clock::system()().wall.since_epoch()).as_bytes()])?,
        }
    } else if !report.ready {
        return Err(Ended::new(Exit::Unavailable, "not ready: not every required secret has been published"));
    }
    Ok(())
}

pub(super) async fn refresh(global: &Global, environment: &Environment) -> Result<(), Ended> {
    let (config, _) = start::configuration(global, environment)?;
    let reply = at_socket(&config, Method::POST, "/v1/refresh").await?.map_err(unanswered)?;
    answer(&reply).map(drop)
}

/// The answer of the agent of this configuration, or why there is none; it must have a socket.
pub(super) async fn at_socket(config: &Config, method: Method, target: &str) -> Result<Result<Reply, Silence>, Ended> {
    let Some(socket) = &config.serve.socket else {
        let line =
            "the configuration opens no socket to ask at: add 'serve: {socket: {path: /run/keyferry-api/api.sock}}'";
        return Err(Ended::new(Exit::Config, line));
    };
    Ok(ask(&socket.path, Believed::RootAnd(process::uid()), method, target).await)
}

/// What was answered, or what was said instead.
pub(super) fn answer(reply: &Reply) -> Result<&crate::secret::SecretValue, Ended> {
    if (200..300).contains(&reply.status) { Ok(&reply.body) } else { Err(said(reply)) }
}

/// Why nobody has answered.
pub(super) fn unanswered(silence: Silence) -> Ended {
    let exit = match silence {
        Silence::Nobody(_) | Silence::Mute(_) => Exit::Unavailable,
        Silence::Nowhere(_) => Exit::Config,
        Silence::Strange(_) => Exit::Denied,
    };
    Ended::new(exit, silence.into_reason())
}

/// What the agent says in place of an answer.
fn said(reply: &Reply) -> Ended {
    let body: Option<serde_json::Value> = serde_json::from_slice(reply.body.expose()).ok();
    let message = body.as_ref().and_then(|body| body["error"]["message"].as_str().map(str::to_owned));
    // Probes are answered in plain words.
    let words = message.unwrap_or_else(|| String::from_utf8_lossy(reply.body.expose()).trim().to_owned());
    // Whoever is not keyferry may say anything.
    let shown: String = words.chars().filter(|c| !c.is_control()).take(500).collect();
    let exit = match reply.status {
        401 | 403 => Exit::Denied,
        406 | 500 => Exit::Content,
        _ => Exit::Unavailable,
    };
    Ended::new(exit, if shown.is_empty() { format!("nothing but the status {}", reply.status) } else { shown })
}

/// Where a port is reached from the same machine, or pod.
fn beside(listen: Listen) -> SocketAddr {
    match listen {
        Listen::Everywhere(port) => (Ipv4Addr::LOCALHOST, port).into(),
        Listen::At(address) => match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
            IpAddr::V6(ip) if ip.is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, address.port()).into(),
            _ => address,
        },
    }
}

/// A table, and below it what is wrong.
fn shown(report: &Report, now: Duration) -> String {
    let row = |secret: &SecretReport| {
        vec![
            secret.name.clone(),
            secret.reference.clone(),
            secret.version.as_deref().map_or("-", |version| version.get(..8).unwrap_or(version)).to_owned(),
            secret.age_seconds.map_or_else(|| "-".to_owned(), |age| short(Duration::from_secs(age))),
            from_now(secret.expires.as_deref(), now),
            from_now(secret.next_refresh.as_deref(), now),
            state(secret).to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = report.secrets.iter().map(row).collect();
    let mut text = table(&["NAME", "REFERENCE", "VERSION", "AGE", "EXPIRES IN", "NEXT IN", "STATE"], &rows);
    let directory = |directory: &DirectoryReport| {
        let generation = directory.generation.map_or_else(|| "-".to_owned(), |generation| generation.to_string());
        vec![directory.dir.clone(), generation]
    };
    if !report.directories.is_empty() {
        let rows: Vec<Vec<String>> = report.directories.iter().map(directory).collect();
        text.push('\n');
        text.push_str(&table(&["DIRECTORY", "GENERATION"], &rows));
    }
    let secrets = report.secrets.iter().map(|SecretReport { name, error, .. }| (name, error));
    let directories = report.directories.iter().map(|DirectoryReport { dir, error, .. }| (dir, error));
    let hooks = report.hooks.iter().map(|HookReport { name, error }| (name, error));
    let wrong = secrets.chain(directories).chain(hooks).filter_map(|(name, error)| Some((name, error.as_ref()?)));
    let wrong: Vec<String> = wrong.map(|(name, error)| format!("{name}: {error}\n")).collect();
    if !wrong.is_empty() {
        text.push('\n');
        text.extend(wrong);
        text.push_str("'keyferry check' says what to do about it.\n");
    }
    if !report.ready {
        text.push_str("\nNot ready: not every required secret has been published.\n");
    }
    text
}

fn state(secret: &SecretReport) -> &str {
    match (secret.revoked, secret.stale, &secret.error, secret.origin.as_str()) {
        (true, ..) => "revoked",
        (_, true, ..) => "stale",
        (_, _, _, "absent") => "absent",
        (_, _, Some(_), "none") => "failing, no value",
        (_, _, Some(_), _) => "failing, old value",
        (_, _, None, "none") => "waiting",
        (_, _, None, "primary") => "ok",
        (_, _, None, origin) => origin,
    }
}

/// How long it is until then.
fn from_now(then: Option<&str>, now: Duration) -> String {
    let since_epoch = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
    match then.and_then(|then| humantime::parse_rfc3339(then).ok()).and_then(since_epoch) {
        None => "-".to_owned(),
        Some(then) if then <= now => "now".to_owned(),
        Some(then) => short(then.saturating_sub(now)),
    }
}

fn short(while_: Duration) -> String {
    roughly(while_).replace(' ', "")
}

#[cfg(test)]
mod tests;

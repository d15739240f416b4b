//! What is served to processes beside this one, and to whom.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Checker;
use super::files::check_dir;
use crate::config::Config;
use crate::config::admin::{Admin, Listen};
use crate::config::cloud::Privileged;
use crate::config::raw::{Raw, RawCaller, RawHttpEndpoint, RawSocket, RawTokens};
use crate::config::serve::{Allow, Callers, HttpEndpoint, Serve, SocketEndpoint, TokensEndpoint, UNMAPPED, Visible};
use crate::reference::Scope;

/// The longest path of a socket, without the NUL at its end (`sun_path`, unix(7)).
const LONGEST_PATH: usize = 107;

/// Why such tokens are not given by the way.
const TOO_MUCH: &str = "gives whoever holds such a token all that the identity may do there, whatever 'allow' says of \
                        secrets: let the application sign in by itself, or agree with 'allowPrivilegedAudience: true'";

impl Checker<'_> {
    /// The endpoints of a configuration whose secrets and directories are known.
    pub(super) fn serve(&mut self, raw: &Raw, config: &Config) -> Serve {
        let socket = raw.serve.socket.as_ref().and_then(|socket| self.socket(socket, raw, config));
        let http = raw.serve.http.as_ref().and_then(|http| self.http(http, raw, config));
        let tokens = raw.serve.tokens.as_ref().and_then(|tokens| self.tokens(tokens, raw, config));
        let serve = Serve { socket, http, tokens, allow_disk: raw.allow_disk.unwrap_or_default() };
        self.apart(&serve, config.admin.as_ref());
        serve
    }

    fn socket(&mut self, raw: &RawSocket, all: &Raw, config: &Config) -> Option<SocketEndpoint> {
        let path = ["serve", "socket"];
        let allow = self.allow(&path, raw.allow.as_deref(), all, config);
        let Some(text) = &raw.path else {
            self.missing(&path, "path", "where the socket is, such as /run/keyferry-api/api.sock");
            return None;
        };
        let place = [&path[..], &["path"]].concat();
        let socket = self.own_file(&place, text, config)?;
        if text.len() > LONGEST_PATH {
            self.problem(
                &place,
                format!("the path of a socket has at most {LONGEST_PATH} bytes: choose a shorter one"),
            );
        }
        Some(SocketEndpoint { path: socket, allow: allow? })
    }

    fn http(&mut self, raw: &RawHttpEndpoint, all: &Raw, config: &Config) -> Option<HttpEndpoint> {
        let path = ["serve", "http"];
        let callers = self.callers(&path, (raw.allow.as_deref(), raw.token_file.as_deref()), all, config);
        let listen = self.loopback(&path, raw.listen.as_deref(), "127.0.0.1:8210");
        Some(HttpEndpoint { listen: listen?, callers: callers? })
    }

    fn tokens(&mut self, raw: &RawTokens, all: &Raw, config: &Config) -> Option<TokensEndpoint> {
        let path = ["serve", "tokens"];
        let callers = self.callers(&path, (raw.allow.as_deref(), raw.token_file.as_deref()), all, config);
        for (number, _) in raw.allow.iter().flatten().enumerate().filter(|(_, caller)| caller.secrets.is_some()) {
            let number = number.to_string();
            let place = [&path[..], &["allow", &number, "secrets"]].concat();
            self.problem(&place, "no secrets are served here, only tokens for 'scopes': leave it out");
        }
        let listen = self.loopback(&path, raw.listen.as_deref(), "127.0.0.1:8212");
        let mut scopes = Vec::new();
        // What could not be read may have been an agreement: that is told of where it stands.
        let member = [&path[..], &["allowPrivilegedAudience"]].concat();
        let agreed = raw.allow_privileged_audience.unwrap_or_else(|| self.is_cut(&member));
        if raw.scopes.as_ref().is_none_or(Vec::is_empty) {
            self.missing(
                &path,
                "scopes",
                "what tokens are for, such as [https://cognitiveservices.azure.com/.default]",
            );
        }
        for (number, scope) in raw.scopes.iter().flatten().enumerate() {
            let number = number.to_string();
            let place = [&path[..], &["scopes", &number]].concat();
            match self.take(&place, Scope::parse(scope)) {
                Some(scope) if scopes.contains(&scope) => self.problem(&place, "this scope is named twice"),
                Some(scope) if !agreed && config.cloud.privileged(scope.resource()).is_some() => {
                    let what = config.cloud.privileged(scope.resource()).map(Privileged::name).unwrap_or_default();
                    self.problem(&place, format!("{what} {TOO_MUCH}"));
                }
                scope => scopes.extend(scope),
            }
        }
        Some(TokensEndpoint { listen: listen?, callers: callers?, scopes })
    }

    fn callers(
        &mut self,
        path: &[&str],
        (allow, token_file): (Option<&[RawCaller]>, Option<&str>),
        all: &Raw,
        config: &Config,
    ) -> Option<Callers> {
        match (allow, token_file) {
            (Some(_), Some(_)) => {
                self.problem(path, "callers are known in one way: keep 'allow', by uid, or 'tokenFile'");
                None
            }
            (None, Some(file)) => {
                let file = self.own_file(&[path, &["tokenFile"]].concat(), file, config)?;
                Some(Callers::Bearer(file))
            }
            (allow, None) => self.allow(path, allow, all, config).map(Callers::Uids),
        }
    }

    fn allow(&mut self, path: &[&str], raw: Option<&[RawCaller]>, all: &Raw, config: &Config) -> Option<Allow> {
        let path = [path, &["allow"]].concat();
        let Some(raw) = raw else {
            // What could not be read must not mean more than what was written.
            return if self.is_cut(&path) { None } else { Some(Allow::Own) };
        };
        if raw.is_empty() {
            self.problem(&path, "nobody may call: name a uid, [{uid: 1000}], or leave 'allow' out for keyferry's own");
        }
        let mut uids = BTreeMap::new();
        for (number, caller) in raw.iter().enumerate() {
            let number = number.to_string();
            let path = [&path[..], &[number.as_str()]].concat();
            let visible = self.visible(&path, caller, all, config);
            let Some(uid) = caller.uid else {
                self.missing(&path, "uid", "the number of the user that the application runs as, such as 1000");
                continue;
            };
            let place = [&path[..], &["uid"]].concat();
            match uid {
                u32::MAX => self.problem(&place, "this number means 'nobody' to the kernel: choose another"),
                UNMAPPED => self.problem(
                    &place,
                    "the kernel shows this number for every user that it cannot map: run the application as another",
                ),
                _ => {}
            }
            if uids.insert(uid, visible).is_some() {
                self.problem(&place, format!("uid {uid} is named twice: put its secrets into one entry"));
            }
        }
        Some(Allow::Uids(uids))
    }

    fn visible(&mut self, path: &[&str], raw: &RawCaller, all: &Raw, config: &Config) -> Visible {
        let Some(names) = &raw.secrets else { return Visible::All };
        let path = [path, &["secrets"]].concat();
        if names.is_empty() {
            self.problem(&path, "no secret is named: name some, or leave 'secrets' out for all of them");
        }
        let named = self.named(&path, names, "named", all, &config.secrets);
        Visible::Only(named.into_iter().map(|(_, name)| name).collect())
    }

    fn loopback(&mut self, path: &[&str], text: Option<&str>, such_as: &str) -> Option<SocketAddr> {
        let Some(text) = text else {
            self.missing(path, "listen", &format!("where it listens, such as {such_as}"));
            return None;
        };
        let address = text.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
        let expected = || {
            format!(
                "expected an address of this machine alone, and a port: {such_as} or \"[::1]:{}\"; what is served here \
                 is not for the network",
                such_as.rsplit(':').next().unwrap_or_default()
            )
        };
        self.take(&[path, &["listen"]].concat(), address.ok_or_else(expected))
    }

    /// A file that keyferry makes and that is no secret's: not where generations come and go.
    fn own_file(&mut self, path: &[&str], text: &str, config: &Config) -> Option<PathBuf> {
        let file = self.take(path, check_dir(text))?;
        let within = |dir: &Path| file.starts_with(dir) || dir.starts_with(&file);
        if let Some(directory) = config.files.iter().find(|directory| within(&directory.dir)) {
            let dir = directory.dir.display();
            self.problem(path, format!("{dir} is a directory of 'files', where only secrets are: choose another"));
        }
        Some(file)
    }

    /// What is opened must not be in each other's way.
    fn apart(&mut self, serve: &Serve, admin: Option<&Admin>) {
        let http = serve.http.as_ref().map(|http| (http.listen, &http.callers, "http"));
        let tokens = serve.tokens.as_ref().map(|tokens| (tokens.listen, &tokens.callers, "tokens"));
        let (mut files, mut ports) = (Vec::new(), Vec::new());
        files.extend(serve.socket.as_ref().map(|socket| (socket.path.clone(), "serve.socket")));
        ports.extend(admin.map(|admin| (admin.listen, "admin")));
        for (listen, callers, name) in http.into_iter().chain(tokens) {
            let own = if name == "http" { "serve.http" } else { "serve.tokens" };
            if let Some((_, other)) = ports.iter().find(|(other, _)| collide(*other, listen)) {
                self.problem(
                    &["serve", name, "listen"],
                    format!("this is where '{other}' listens: choose another port"),
                );
            }
            ports.push((Listen::At(listen), own));
            let Callers::Bearer(file) = callers else { continue };
            if let Some((_, other)) = files.iter().find(|(other, _)| other == file) {
                self.problem(&["serve", name, "tokenFile"], format!("this is the file of '{other}': choose another"));
            }
            files.push((file.clone(), own));
        }
    }

    fn missing(&mut self, path: &[&str], member: &str, what: &str) {
        if !self.is_cut(&[path, &[member]].concat()) {
            self.problem(path, format!("'{member}' is missing: {what}"));
        }
    }
}

/// Whether both cannot be opened at once.
fn collide(one: Listen, other: SocketAddr) -> bool {
    other.port() != 0
        && match one {
            Listen::Everywhere(port) => port == other.port(),
            Listen::At(address) => address == other || address.ip().is_unspecified() && address.port() == other.port(),
        }
}

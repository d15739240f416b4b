//! What is fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{Checker, INTERVAL};
use crate::config::raw::{Raw, RawDecode, RawExpect, RawFile, RawLongSecret, RawParts, RawSecret};
use crate::config::{Config, SecretConfig, needs_default};
use crate::extract::{Cut, Decode, Expect};
use crate::reference::{Collection, Object, Reference, SecretName, VaultName};
use crate::secret::Part;

impl Checker<'_> {
    pub(super) fn secrets(
        &mut self,
        raw: &Raw,
        config: &Config,
        hosts_checked: bool,
    ) -> BTreeMap<SecretName, SecretConfig> {
        let mut secrets = BTreeMap::new();
        for (name, secret) in &raw.secrets {
            let parsed = SecretName::parse(name);
            if let Err(message) = &parsed {
                self.key_problem(&["secrets", name], message);
            }
            let short;
            let (long, from) = match secret {
                RawSecret::Short(from) => {
                    short = RawLongSecret { from: Some(from.clone()), ..RawLongSecret::default() };
                    (&short, &["secrets", name][..])
                }
                RawSecret::Long(long) => (&**long, &["secrets", name, "from"][..]),
            };
            let object = self.object(from, long, raw, config, hosts_checked);
            let meant = self.secret(name, long, object, config);
            if let (Ok(name), Some(meant)) = (parsed, meant) {
                secrets.insert(name, meant);
            }
        }
        secrets
    }

    /// The secrets of a list of names, each with its place in the list: those that are there, and named once.
    pub(super) fn named(
        &mut self,
        path: &[&str],
        names: &[String],
        how: &str,
        all: &Raw,
        secrets: &BTreeMap<SecretName, SecretConfig>,
    ) -> Vec<(usize, SecretName)> {
        let (mut named, mut seen) = (Vec::new(), BTreeSet::new());
        for (number, name) in names.iter().enumerate() {
            let place = number.to_string();
            let path = [path, &[place.as_str()]].concat();
            let known = SecretName::parse(name).ok().and_then(|name| secrets.get_key_value(&name));
            match known {
                Some((name, _)) if !seen.insert(name) => self.problem(&path, format!("'{name}' is {how} twice")),
                Some((name, _)) => named.push((number, name.clone())),
                // One that is there, but wrong, is complained of where it stands.
                None if all.secrets.contains_key(name) || self.tree.was_cut(&["secrets", name]) => {}
                None => self.problem(&path, "there is no secret of this name in 'secrets:'"),
            }
        }
        named
    }

    /// What the reference means; none when something is wrong with it or with its vault or workspace, which is noted there.
    fn object(
        &mut self,
        path: &[&str],
        raw: &RawLongSecret,
        all: &Raw,
        config: &Config,
        hosts_checked: bool,
    ) -> Option<(Reference, Object)> {
        let Some(text) = &raw.from else {
            self.problem(path, "'from' is missing: the reference to the secret");
            return None;
        };
        let reference = self.take(path, Reference::parse(text))?;
        let told_elsewhere = match &reference {
            Reference::Vault { vault: VaultName::Alias(alias), .. } => {
                let mentioned = all.vaults.contains_key(alias) || self.tree.was_cut(&["vaults", alias]);
                mentioned && !config.vaults.contains_key(alias)
            }
            Reference::Vault { .. } => !hosts_checked,
            Reference::Connection { workspace, .. } => {
                let mentioned = all.workspace.is_some() || self.tree.was_cut(&["workspace"]);
                let no_manager = self.tree.was_cut(&["cloud", "resourceManager"]);
                !hosts_checked || no_manager || workspace.is_none() && mentioned && config.workspace.is_none()
            }
            Reference::Token { .. } | Reference::File(_) => false,
        };
        let object = if told_elsewhere { None } else { self.take(path, config.locate(&reference)) };
        Some((reference, object?))
    }

    /// That nobody can sign in is said once, and only when something needs it.
    pub(super) fn need_identity(&mut self, raw: &Raw, config: &Config) {
        let Some(reason) = &config.no_identity else { return };
        let mut needing = config.secrets.iter().filter(|(_, secret)| needs_default(&secret.object));
        if let Some((first, _)) = needing.next() {
            let others = match needing.count() {
                0 => String::new(),
                1 => " and one other secret".to_owned(),
                more => format!(" and {more} other secrets"),
            };
            self.problem(&["identity"], format!("{reason}; needed by '{first}'{others}"));
        } else if raw.serve.tokens.is_some() {
            self.problem(&["serve", "tokens"], format!("{reason}; the tokens that are given here are its"));
        }
    }

    fn secret(
        &mut self,
        name: &str,
        raw: &RawLongSecret,
        object: Option<(Reference, Object)>,
        config: &Config,
    ) -> Option<SecretConfig> {
        let member = |member| ["secrets", name, member];
        if raw.property.as_deref() == Some("") {
            self.problem(&member("property"), "expected the name of a member of the JSON object");
        }
        let is_certificate = matches!(&object, Some((Reference::Vault { collection: Collection::Certificate, .. }, _)));
        let is_other = object.is_some() && !is_certificate;
        let files = if is_certificate { self.parts(name, raw) } else { self.file(name, raw, is_other) };
        let general = match &object {
            Some((Reference::Connection { .. }, _)) => config.refresh.connection_interval,
            _ => config.refresh.interval,
        };
        let refresh = match &raw.refresh {
            None => general,
            own => self.duration(&member("refresh"), own.as_ref(), &INTERVAL),
        };
        let decode = raw.decode.map(|decode| match decode {
            RawDecode::Base64 => Decode::Base64,
            RawDecode::Hex => Decode::Hex,
        });
        let expect = raw.expect.map(|expect| match expect {
            RawExpect::NonEmpty => Expect::NonEmpty,
            RawExpect::Json => Expect::Json,
            RawExpect::Pem => Expect::Pem,
        });
        let (reference, object) = object?;
        self.need_no_cut(name, raw, expect, &reference);
        let files = files?;
        let cut = Cut { property: raw.property.clone(), decode, expect, ..Cut::of(&reference, files.keys().copied()) };
        let standby = config.standby(&reference);
        let optional = raw.optional.unwrap_or_default();
        Some(SecretConfig { reference, object, standby, cut, files, refresh, optional })
    }

    /// What is made anew for keyferry is no JSON, and nothing to be decoded.
    fn need_no_cut(&mut self, name: &str, raw: &RawLongSecret, expect: Option<Expect>, reference: &Reference) {
        let (what, never) = match reference {
            Reference::Token { .. } => ("an access token is published as it is", &[Expect::Json, Expect::Pem][..]),
            Reference::Vault { collection: Collection::Key, .. } => {
                ("a public key is published as PEM", &[Expect::Json][..])
            }
            _ => return,
        };
        let unexpected = expect.is_some_and(|expect| never.contains(&expect));
        let given = [(raw.property.is_some(), "property"), (raw.decode.is_some(), "decode"), (unexpected, "expect")];
        for (_, key) in given.into_iter().filter(|(given, _)| *given) {
            self.key_problem(&["secrets", name, key], format!("{what}: leave this out"));
        }
    }

    /// The one file of what has but one value.
    fn file(&mut self, name: &str, raw: &RawLongSecret, is_known: bool) -> Option<BTreeMap<Part, PathBuf>> {
        let member = |member| ["secrets", name, member];
        if raw.parts.is_some() && is_known {
            self.key_problem(
                &member("parts"),
                "only a certificate has parts: refer to 'keyvault:…/certificates/<name>'",
            );
        }
        let file = match &raw.file {
            None if self.tree.was_cut(&member("file")) => return None,
            None => PathBuf::from(name),
            Some(RawFile(None)) => return Some(BTreeMap::new()),
            Some(RawFile(Some(file))) => self.take(&member("file"), check_file(file))?,
        };
        Some(BTreeMap::from([(Part::Value, file)]))
    }

    /// The files of a certificate: as Kubernetes' secrets of type `kubernetes.io/tls` have them, in a directory of the
    /// secret's name, unless the configuration says otherwise.
    fn parts(&mut self, name: &str, raw: &RawLongSecret) -> Option<BTreeMap<Part, PathBuf>> {
        let member = |member| ["secrets", name, member];
        for (given, key) in
            [(raw.property.is_some(), "property"), (raw.decode.is_some(), "decode"), (raw.expect.is_some(), "expect")]
        {
            if given {
                self.key_problem(&member(key), "a certificate is opened and checked as such: leave this out");
            }
        }
        match (&raw.file, &raw.parts) {
            (Some(RawFile(Some(_))), _) => {
                self.key_problem(
                    &member("file"),
                    "a certificate is several files: name each, 'parts: {fullchain: tls.crt, key: tls.key}'",
                );
                None
            }
            (Some(RawFile(None)), None) => Some(BTreeMap::new()),
            (Some(RawFile(None)), Some(_)) => {
                self.key_problem(
                    &member("file"),
                    "'file: false' wants no files, and 'parts' names some: leave one out",
                );
                None
            }
            (None, None) if self.tree.was_cut(&member("parts")) => None,
            (None, None) => {
                let directory = Path::new(name);
                Some([(Part::Fullchain, directory.join("tls.crt")), (Part::Key, directory.join("tls.key"))].into())
            }
            (None, Some(parts)) => {
                let mut files = BTreeMap::new();
                for (part, file) in parts.written() {
                    let path = ["secrets", name, "parts", part.name()];
                    files.extend(self.take(&path, check_file(file)).map(|file| (part, file)));
                }
                if parts.written().next().is_none() && !self.tree.was_cut_within(&member("parts")) {
                    self.problem(&member("parts"), "no part is named: 'parts: {fullchain: tls.crt, key: tls.key}'");
                }
                Some(files)
            }
        }
    }
}

impl RawParts {
    fn written(&self) -> impl Iterator<Item = (Part, &String)> {
        let Self { fullchain, leaf, chain, key, bundle, ca, pfx } = self;
        let parts = [
            (Part::Fullchain, fullchain),
            (Part::Leaf, leaf),
            (Part::Chain, chain),
            (Part::Key, key),
            (Part::Bundle, bundle),
            (Part::Ca, ca),
            (Part::Pfx, pfx),
        ];
        parts.into_iter().filter_map(|(part, file)| Some((part, file.as_ref()?)))
    }
}

/// A file's name stays inside its directory and cannot be taken for one of our own entries, which begin with two dots.
pub(super) fn check_file(file: &str) -> Result<PathBuf, String> {
    let wrong = |reason: &str| Err(reason.to_owned());
    let path = Path::new(file);
    if file.is_empty() {
        return wrong("a file's name is not empty; for no file write false, or leave the part out");
    }
    if file.contains('\0') {
        return wrong("a file's name cannot hold a NUL character");
    }
    // It stands in messages as it is.
    if file.contains(char::is_control) {
        return wrong("a file's name cannot hold a line break or another control character");
    }
    if file.starts_with('/') {
        return wrong("a file's name is relative to the directory: remove the '/' at its beginning");
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return wrong("a file cannot leave the directory: remove '..'");
    }
    if file.starts_with("..") {
        return wrong("a file's name cannot begin with '..': such names are keyferry's own");
    }
    if file.split('/').any(|part| part.is_empty() || part == ".") {
        return wrong("a file's name has no empty or '.' parts");
    }
    if file.split('/').any(|part| part.len() > 255) {
        return wrong("each part of a file's name has at most 255 bytes");
    }
    // The directory's own path and the generation's name come before it, and a path has at most 4096 bytes.
    if file.len() > 2048 {
        return wrong("a file's name has at most 2048 bytes");
    }
    Ok(path.to_owned())
}

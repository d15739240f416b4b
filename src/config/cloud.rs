//! Azure's clouds: authority, vault suffix and audience of each (learn.microsoft.com, "Key Vault: about keys, secrets
//! and certificates", endpoints), and the one place that makes a [`VaultHost`], so that no token can be meant for
//! another kind of host.

mod privileged;

use crate::reference::{VaultHost, parse_host};

pub use privileged::Privileged;

/// Where one cloud's services are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloud {
    /// The Entra authority, `https://host[:port]`, without a trailing slash.
    pub authority: String,
    /// The DNS suffix of vaults, e.g. `vault.azure.net`.
    pub vault_suffix: String,
    /// The audience of vault tokens, `https://…`, without a trailing slash: with one the vault refuses the token (AKV10022).
    pub vault_audience: String,
    /// The resource manager, `https://host[:port]`, without a trailing slash; a cloud of one's own may have none.
    pub resource_manager: Option<String>,
    /// The audience of its tokens, `https://…`, without a trailing slash; there is one where there is the other.
    pub resource_manager_audience: Option<String>,
    /// Whether the user defined it: then, and only then, vaults may have a port.
    pub custom: bool,
}

struct Known {
    name: &'static str,
    authority: &'static str,
    aliases: &'static [&'static str],
    vault_suffix: &'static str,
    hsm_suffix: &'static str,
    resource_manager: &'static str,
}

const PUBLIC: Known = Known {
    name: "public",
    authority: "login.microsoftonline.com",
    aliases: &["login.windows.net", "login.microsoft.com", "sts.windows.net"],
    vault_suffix: "vault.azure.net",
    hsm_suffix: "managedhsm.azure.net",
    resource_manager: "management.azure.com",
};

const KNOWN: [Known; 3] = [
    PUBLIC,
    Known {
        name: "usGovernment",
        authority: "login.microsoftonline.us",
        aliases: &["login.usgovcloudapi.net"],
        vault_suffix: "vault.usgovcloudapi.net",
        hsm_suffix: "managedhsm.usgovcloudapi.net",
        resource_manager: "management.usgovcloudapi.net",
    },
    Known {
        name: "china",
        authority: "login.chinacloudapi.cn",
        aliases: &["login.partner.microsoftonline.cn"],
        vault_suffix: "vault.azure.cn",
        hsm_suffix: "managedhsm.azure.cn",
        resource_manager: "management.chinacloudapi.cn",
    },
];

const NO_MANAGER: &str =
    "it is the audience of a resource manager, and none is named: add 'resourceManager: https://…'";

/// What was there instead is not said: it could be anything, a password before an '@' too.
pub(super) const NO_HOST: &str = "after 'https://' comes a host's name, and its port if it is not 443: nothing else";

impl Known {
    fn cloud(&self) -> Cloud {
        Cloud {
            authority: format!("https://{}", self.authority),
            vault_suffix: self.vault_suffix.to_owned(),
            vault_audience: format!("https://{}", self.vault_suffix),
            resource_manager: Some(format!("https://{}", self.resource_manager)),
            resource_manager_audience: Some(format!("https://{}", self.resource_manager)),
            custom: false,
        }
    }
}

impl Cloud {
    /// Azure's public cloud.
    pub fn public() -> Self {
        PUBLIC.cloud()
    }

    /// The cloud of this name.
    pub fn named(name: &str) -> Option<Self> {
        KNOWN.iter().find(|known| known.name == name).map(Known::cloud)
    }

    /// The authorities of Azure's clouds, `https://host`.
    pub fn authorities() -> impl Iterator<Item = String> {
        KNOWN.iter().map(|known| format!("https://{}", known.authority))
    }

    /// The cloud that this authority belongs to, by its own name or an alias; `https://host` with or without a slash.
    pub fn of_authority(authority: &str) -> Option<Self> {
        let host = parse_authority(authority).ok()?;
        let host = host.strip_prefix("https://")?;
        KNOWN.iter().find(|known| known.authority == host || known.aliases.contains(&host)).map(Known::cloud)
    }

    /// A cloud that the user defined, or all that is wrong with it.
    pub fn custom(custom: &Custom<'_>) -> Result<Self, Vec<CustomProblem>> {
        let mut problems = Vec::new();
        let mut checked = |result: Result<String, String>, problem: fn(String) -> CustomProblem| {
            result.map_err(|message| problems.push(problem(message))).ok()
        };
        let authority = checked(parse_authority(custom.authority), CustomProblem::Authority);
        let suffix = checked(parse_suffix(custom.vault_suffix), CustomProblem::Suffix);
        let audience = custom
            .vault_audience
            .map(|audience| checked(parse_audience(audience, suffix.as_deref()), CustomProblem::Audience));
        let manager = custom
            .resource_manager
            .map(|manager| checked(parse_resource_manager(manager), CustomProblem::ResourceManager));
        let host = manager.iter().flatten().map(|manager| host_alone(manager)).next();
        let manager_audience = custom.resource_manager_audience.map(|audience| match custom.resource_manager {
            Some(_) => checked(parse_audience(audience, host), CustomProblem::ResourceManagerAudience),
            None => checked(Err(NO_MANAGER.to_owned()), CustomProblem::ResourceManagerAudience),
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        let (Some(authority), Some(vault_suffix)) = (authority, suffix) else { return Err(problems) };
        let of = |host: &str| format!("https://{host}");
        Ok(Self {
            vault_audience: audience.flatten().unwrap_or_else(|| of(&vault_suffix)),
            resource_manager_audience: manager_audience.flatten().or_else(|| host.map(of)),
            resource_manager: manager.flatten(),
            authority,
            vault_suffix,
            custom: true,
        })
    }

    /// Checks that a host is a vault of this cloud: one label and the cloud's suffix, and a port only in a custom cloud.
    pub fn vault_host(&self, host: &str) -> Result<VaultHost, String> {
        // Whatever the caller took it from: nothing but a host's name and port becomes part of a URL.
        let host = parse_host(host).map_err(|_| NO_HOST.to_owned())?;
        let (name, port) = host.split_once(':').map_or((host.as_str(), None), |(name, port)| (name, Some(port)));
        let suffix = &self.vault_suffix;
        let Some(label) = name.strip_suffix(suffix.as_str()).and_then(|rest| rest.strip_suffix('.')) else {
            return Err(format!("'{host}' is no vault of this cloud: {}", self.why_not(name)));
        };
        if port.is_some() && !self.custom {
            return Err(format!("'{host}' has a port: vaults are on port 443"));
        }
        let azure = (3..=24).contains(&label.len())
            && label.starts_with(|c: char| c.is_ascii_alphabetic())
            && !label.contains("--");
        if label.contains('.') {
            return Err(format!("'{host}' is no vault: one name comes before '.{suffix}', without dots"));
        }
        if !azure && !self.custom {
            return Err(format!(
                "'{label}' is no vault's name: 3 to 24 letters, digits and single hyphens, beginning with a letter"
            ));
        }
        Ok(VaultHost(host))
    }

    fn why_not(&self, name: &str) -> String {
        let under = |suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'));
        if let Some(known) = KNOWN.iter().find(|known| under(known.vault_suffix)) {
            return format!("it belongs to the cloud '{0}': set 'cloud: {0}'", known.name);
        }
        if KNOWN.iter().any(|known| under(known.hsm_suffix)) {
            return "a managed HSM holds keys only, no secrets".to_owned();
        }
        format!("a vault is '<name>.{}'", self.vault_suffix)
    }
}

/// A cloud as the user describes it.
#[derive(Debug, Clone, Copy)]
pub struct Custom<'a> {
    /// `authorityHost`.
    pub authority: &'a str,
    /// `vaultSuffix`.
    pub vault_suffix: &'a str,
    /// `vaultAudience`; by default the suffix itself.
    pub vault_audience: Option<&'a str>,
    /// `resourceManager`; without one there are no connections.
    pub resource_manager: Option<&'a str>,
    /// `resourceManagerAudience`; by default the host of the resource manager.
    pub resource_manager_audience: Option<&'a str>,
}

/// What is wrong with a custom cloud, and with which of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomProblem {
    /// `authorityHost`.
    Authority(String),
    /// `vaultSuffix`.
    Suffix(String),
    /// `vaultAudience`.
    Audience(String),
    /// `resourceManager`.
    ResourceManager(String),
    /// `resourceManagerAudience`.
    ResourceManagerAudience(String),
}

/// `https://host[:port]`, with or without one slash at its end.
fn parse_authority(authority: &str) -> Result<String, String> {
    let rest = authority.strip_prefix("https://").ok_or("an authority is written 'https://<host>'")?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.contains('/') {
        return Err(
            "an authority is written 'https://<host>', without a path: the tenant is added by keyferry".to_owned()
        );
    }
    parse_host(host).map(|host| format!("https://{host}")).map_err(|_| NO_HOST.to_owned())
}

fn parse_suffix(suffix: &str) -> Result<String, String> {
    let suffix = parse_host(suffix)
        .map_err(|_| "a suffix is what follows a vault's name and its dot, such as vault.example.org".to_owned())?;
    if suffix.contains(':') {
        return Err("a suffix has no port; vaults of a custom cloud may have one in their url".to_owned());
    }
    if !suffix.contains('.') {
        return Err("a suffix has two labels or more, such as vault.example.org: a whole top-level domain is nobody's"
            .to_owned());
    }
    not_azures(&suffix)?;
    Ok(suffix)
}

/// `https://host[:port]`, with or without one slash at its end.
fn parse_resource_manager(manager: &str) -> Result<String, String> {
    let rest = manager.strip_prefix("https://").ok_or("a resource manager is written 'https://<host>'")?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.contains('/') {
        return Err("a resource manager is written 'https://<host>', without a path".to_owned());
    }
    let host = parse_host(host).map_err(|_| NO_HOST.to_owned())?;
    let manager = format!("https://{host}");
    not_azures(host_alone(&manager))?;
    Ok(manager)
}

/// The host of `https://host[:port]`.
fn host_alone(url: &str) -> &str {
    let host = url.strip_prefix("https://").unwrap_or(url);
    host.split_once(':').map_or(host, |(host, _)| host)
}

/// That a name is no known cloud's, nor above or below one of its names.
fn not_azures(name: &str) -> Result<(), String> {
    let related = |known: &&Known| {
        let own = [&known.vault_suffix, &known.hsm_suffix, &known.authority, &known.resource_manager];
        known.aliases.iter().chain(own).any(|theirs| {
            *theirs == name || theirs.ends_with(&format!(".{name}")) || name.ends_with(&format!(".{theirs}"))
        })
    };
    match KNOWN.iter().find(related) {
        Some(known) => Err(format!("this belongs to the cloud '{0}': set 'cloud: {0}'", known.name)),
        None => Ok(()),
    }
}

/// The relation to whom the tokens are sent is checked where that is known.
fn parse_audience(audience: &str, receiver: Option<&str>) -> Result<String, String> {
    if audience.ends_with('/') {
        return Err("an audience has no slash at its end: with one a vault refuses every token (AKV10022)".to_owned());
    }
    let host = audience.strip_prefix("https://").ok_or("an audience is written 'https://<host>'")?;
    let host = parse_host(host).map_err(|_| "an audience is written 'https://<host>', without a path".to_owned())?;
    let related = |suffix: &str| host == suffix || suffix.ends_with(&format!(".{host}")) && host.contains('.');
    if let Some(receiver) = receiver.filter(|receiver| !related(receiver)) {
        return Err(format!(
            "the audience's host must be '{receiver}', which receives the tokens, or a domain above it"
        ));
    }
    Ok(format!("https://{host}"))
}

#[cfg(test)]
mod tests;

//! Azure's clouds: authority, vault suffix and audience of each (learn.microsoft.com, "Key Vault: about keys, secrets
//! and certificates", endpoints), and the one place that makes a [`VaultHost`], so that no token can be meant for
//! another kind of host.

use crate::reference::{VaultHost, parse_host};

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

    /// The cloud that this authority belongs to, by its own name or an alias; `https://host` with or without a slash.
    pub fn of_authority(authority: &str) -> Option<Self> {
        let host = parse_authority(authority).ok()?;
        let host = host.strip_prefix("https://")?;
        KNOWN.iter().find(|known| known.authority == host || known.aliases.contains(&host)).map(Known::cloud)
    }

    /// A cloud that the user defined, or all that is wrong with it.
    pub fn custom(
        authority: &str,
        vault_suffix: &str,
        vault_audience: Option<&str>,
    ) -> Result<Self, Vec<CustomProblem>> {
        let authority = parse_authority(authority).map_err(CustomProblem::Authority);
        let suffix = parse_suffix(vault_suffix).map_err(CustomProblem::Suffix);
        let audience = match (vault_audience, &suffix) {
            (Some(audience), suffix) => {
                parse_audience(audience, suffix.as_deref().ok()).map_err(CustomProblem::Audience).map(Some)
            }
            (None, _) => Ok(None),
        };
        match (authority, suffix, audience) {
            (Ok(authority), Ok(vault_suffix), Ok(audience)) => {
                let vault_audience = audience.unwrap_or_else(|| format!("https://{vault_suffix}"));
                let (resource_manager, resource_manager_audience) = (None, None);
                Ok(Self {
                    authority,
                    vault_suffix,
                    vault_audience,
                    resource_manager,
                    resource_manager_audience,
                    custom: true,
                })
            }
            (authority, suffix, audience) => {
                Err([authority.err(), suffix.err(), audience.err()].into_iter().flatten().collect())
            }
        }
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

/// What is wrong with a custom cloud, and with which of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomProblem {
    /// `authorityHost`.
    Authority(String),
    /// `vaultSuffix`.
    Suffix(String),
    /// `vaultAudience`.
    Audience(String),
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
    let related = |known: &&Known| {
        known.aliases.iter().chain([&known.vault_suffix, &known.hsm_suffix, &known.authority]).any(|theirs| {
            *theirs == suffix || theirs.ends_with(&format!(".{suffix}")) || suffix.ends_with(&format!(".{theirs}"))
        })
    };
    match KNOWN.iter().find(related) {
        Some(known) => Err(format!("this belongs to the cloud '{0}': set 'cloud: {0}'", known.name)),
        None => Ok(suffix),
    }
}

/// The relation to the suffix is checked where there is one.
fn parse_audience(audience: &str, vault_suffix: Option<&str>) -> Result<String, String> {
    if audience.ends_with('/') {
        return Err("an audience has no slash at its end: with one the vault refuses every token (AKV10022)".to_owned());
    }
    let host = audience.strip_prefix("https://").ok_or("an audience is written 'https://<host>'")?;
    let host = parse_host(host).map_err(|_| "an audience is written 'https://<host>', without a path".to_owned())?;
    let related = |suffix: &str| host == suffix || suffix.ends_with(&format!(".{host}")) && host.contains('.');
    if let Some(suffix) = vault_suffix.filter(|suffix| !related(suffix)) {
        return Err(format!("the audience's host must be the vault suffix '{suffix}' or a domain above it"));
    }
    Ok(format!("https://{host}"))
}

#[cfg(test)]
mod tests;

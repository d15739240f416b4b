//! Which vaults have an alias, and who signs in to them.

use std::collections::BTreeMap;

use super::Checker;
use crate::config::cloud::{Cloud, NO_HOST};
use crate::config::raw::RawVault;
use crate::config::{DEFAULT_IDENTITY, Identity, Vault};
use crate::reference::{IdentityName, VaultHost, parse_alias, parse_host};

impl Checker<'_> {
    /// The vaults that nothing is wrong with; without a cloud that is none.
    pub(super) fn vaults(
        &mut self,
        raw: &BTreeMap<String, RawVault>,
        cloud: Option<&Cloud>,
        identities: &mut BTreeMap<IdentityName, Identity>,
    ) -> BTreeMap<String, Vault> {
        let mut vaults = BTreeMap::new();
        for (alias, vault) in raw {
            if let Err(message) = check_alias(alias) {
                self.key_problem(&["vaults", alias], message);
            }
            let identity = match &vault.identity {
                None => IdentityName(DEFAULT_IDENTITY.to_owned()),
                Some(identity) => {
                    let name = IdentityName(alias.clone());
                    if let Some(identity) = self.own_identity(alias, identity) {
                        identities.insert(name.clone(), identity);
                    }
                    name
                }
            };
            let path = ["vaults", alias, "url"];
            let Some(url) = &vault.url else {
                self.problem(&path, "a vault needs its url, such as https://contoso.vault.azure.net");
                continue;
            };
            let Some(host) = self.take(&path, host_of(url)) else { continue };
            let Some(cloud) = cloud else { continue };
            let standby = self.standby(alias, vault, &host, cloud);
            if let Some(host) = self.take(&path, cloud.vault_host(&host)) {
                vaults.insert(alias.clone(), Vault { host, identity, standby });
            }
        }
        vaults
    }

    fn standby(&mut self, alias: &str, vault: &RawVault, primary: &str, cloud: &Cloud) -> Option<VaultHost> {
        let path = ["vaults", alias, "standby"];
        let host = self.take(&path, host_of(vault.standby.as_ref()?))?;
        if host == primary {
            self.problem(&path, "a vault does not stand by for itself: name another one, or leave it out");
        }
        self.take(&path, cloud.vault_host(&host))
    }
}

fn check_alias(alias: &str) -> Result<(), &'static str> {
    if alias == DEFAULT_IDENTITY {
        return Err("the alias 'default' is taken: choose another");
    }
    parse_alias(alias)
        .map(|_| ())
        .map_err(|_| "an alias is a letter, then letters, digits, '-' and '_', 63 characters at most")
}

/// `https://host[:port]`, with or without one slash at its end.
fn host_of(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("https://").ok_or("a vault's url begins with 'https://', then comes its host")?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.contains(['/', '?', '#']) {
        return Err("a vault's url ends after the host: the reference names the secret".to_owned());
    }
    parse_host(host).map_err(|_| NO_HOST.to_owned())
}

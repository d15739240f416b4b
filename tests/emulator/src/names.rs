//! The names of the services under one domain, and the audiences of their tokens.

use rustls::pki_types::DnsName;

use crate::Error;

/// What the services are called; nothing of it depends on where they listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Host name of Entra.
    pub login: String,
    /// Host name of the resource manager.
    pub management: String,
    /// DNS suffix of the vaults.
    pub vault_suffix: String,
    /// DNS suffix of the resources of Azure OpenAI.
    pub openai_suffix: String,
    /// Audience of the vaults' tokens.
    pub vault_audience: String,
    /// Audience of the tokens for the resource manager; a token without the slash at the end is taken too.
    pub management_audience: String,
    /// Audience of the tokens for Cognitive Services, one of which is Azure OpenAI; Azure's own one is taken as well.
    pub cognitive_audience: String,
}

impl Names {
    /// The names under a domain, in lower case.
    pub(crate) fn under(domain: &str) -> Result<Self, Error> {
        DnsName::try_from(domain).map_err(|_| Error::Domain(domain.to_owned()))?;
        let domain = domain.to_ascii_lowercase();
        Ok(Self {
            login: format!("login.{domain}"),
            management: format!("management.{domain}"),
            vault_suffix: format!("vault.{domain}"),
            openai_suffix: format!("openai.{domain}"),
            vault_audience: format!("https://vault.{domain}"),
            management_audience: format!("https://management.{domain}/"),
            cognitive_audience: format!("https://cognitiveservices.{domain}"),
        })
    }

    /// What a certificate for all hosts names.
    pub(crate) fn of_certificate(&self) -> Vec<String> {
        let (vaults, resources) = (format!("*.{}", self.vault_suffix), format!("*.{}", self.openai_suffix));
        vec![self.login.clone(), self.management.clone(), vaults, resources]
    }

    /// The vault a host name stands for.
    pub(crate) fn vault_in(&self, host: &str) -> Option<String> {
        only_label(&host.to_ascii_lowercase(), &self.vault_suffix).map(str::to_owned)
    }

    /// Whether a host is a resource of Azure OpenAI: any one label before the suffix.
    pub(crate) fn is_openai_resource(&self, host: &str) -> bool {
        only_label(host, &self.openai_suffix).is_some()
    }
}

/// The one label before a suffix.
fn only_label<'a>(host: &'a str, suffix: &str) -> Option<&'a str> {
    let label = host.strip_suffix(suffix)?.strip_suffix('.')?;
    (!label.is_empty() && !label.contains('.')).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_is_one_label_before_the_suffix() {
        let names = Names::under("localhost").unwrap();
        assert_eq!(names.vault_in("Demo.vault.localhost").as_deref(), Some("demo"));
        for wrong in ["vault.localhost", ".vault.localhost", "a.b.vault.localhost", "demovault.localhost", ""] {
            assert_eq!(names.vault_in(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_resource_is_one_label() {
        let names = Names::under("localhost").unwrap();
        assert!(names.is_openai_resource("demo.openai.localhost"));
        for host in ["openai.localhost", ".openai.localhost", "a.b.openai.localhost", "demo.vault.localhost"] {
            assert!(!names.is_openai_resource(host), "{host}");
        }
    }

    #[test]
    fn everything_is_under_the_domain() {
        let names = Names::under("Azure.Example").unwrap();
        assert_eq!(names.login, "login.azure.example");
        assert_eq!(names.management_audience, "https://management.azure.example/");
        assert_eq!(names.vault_in("demo.vault.azure.example").as_deref(), Some("demo"));
        assert_eq!(names.vault_in("demo.vault.localhost"), None);
        for wrong in ["", ".", "a b", "a..b", "https://a", "a/b", "*.a"] {
            assert!(matches!(Names::under(wrong), Err(Error::Domain(_))), "{wrong:?}");
        }
    }
}

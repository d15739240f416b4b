//! The resources a tenant knows, which are the audiences a token can be for.

use crate::Names;

/// The audiences of Azure's clouds.
const OF_AZURE: &[&str] = &[
    "https://vault.azure.net",
    "https://vault.usgovcloudapi.net",
    "https://vault.azure.cn",
    "https://management.azure.com",
    "https://management.usgovcloudapi.net",
    "https://management.chinacloudapi.cn",
    "https://cognitiveservices.azure.com",
    "https://ai.azure.com",
    // A cloud whose names do not resolve (RFC 2606), but for which there are tokens.
    "https://vault.keyferry-test.invalid",
];

/// The audiences of the emulator's own services, then those a test has added.
#[derive(Debug)]
pub(crate) struct Audiences(Vec<String>);

impl Audiences {
    pub(crate) fn of(names: &Names) -> Self {
        Self(vec![names.vault_audience.clone(), names.management_audience.clone(), names.cognitive_audience.clone()])
    }

    pub(crate) fn add(&mut self, audience: &str) {
        self.0.push(audience.to_owned());
    }

    /// Whether a token can be had for this audience; a slash at the end and the case of letters do not matter.
    pub(crate) fn know(&self, audience: &str) -> bool {
        let own = self.0.iter().map(String::as_str);
        OF_AZURE.iter().copied().chain(own).any(|known| bare(known).eq_ignore_ascii_case(bare(audience)))
    }
}

/// An audience without the slash it may end in.
pub(crate) fn bare(audience: &str) -> &str {
    audience.strip_suffix('/').unwrap_or(audience)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_is_known_with_and_without_a_slash() {
        let mut audiences = Audiences::of(&Names::under("localhost").unwrap());
        for known in ["https://vault.localhost", "https://vault.localhost/", "https://MANAGEMENT.localhost"] {
            assert!(audiences.know(known), "{known}");
        }
        for unknown in ["https://vault.localhost//", "https://demo.vault.localhost", "vault.localhost", ""] {
            assert!(!audiences.know(unknown), "{unknown}");
        }
        audiences.add("https://own.example");
        assert!(audiences.know("https://own.example/"));
    }
}

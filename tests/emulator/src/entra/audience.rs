//! The resources a tenant knows, which are the audiences a token can be for.

use crate::Emulator;

/// The audiences of the emulator's own services, then those of Azure's clouds.
const KNOWN: &[&str] = &[
    Emulator::VAULT_AUDIENCE,
    Emulator::MANAGEMENT_AUDIENCE,
    Emulator::COGNITIVE_AUDIENCE,
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

/// The audiences a test has added.
#[derive(Debug, Default)]
pub(crate) struct Audiences(Vec<String>);

impl Audiences {
    pub(crate) fn add(&mut self, audience: &str) {
        self.0.push(audience.to_owned());
    }

    /// Whether a token can be had for this audience; a slash at the end and the case of letters do not matter.
    pub(crate) fn know(&self, audience: &str) -> bool {
        let added = self.0.iter().map(String::as_str);
        KNOWN.iter().copied().chain(added).any(|known| bare(known).eq_ignore_ascii_case(bare(audience)))
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
        for known in ["https://vault.localhost", "https://vault.localhost/", "https://MANAGEMENT.localhost"] {
            assert!(Audiences::default().know(known), "{known}");
        }
        for unknown in ["https://vault.localhost//", "https://demo.vault.localhost", "vault.localhost", ""] {
            assert!(!Audiences::default().know(unknown), "{unknown}");
        }
        let mut audiences = Audiences::default();
        audiences.add("https://own.example");
        assert!(audiences.know("https://own.example/"));
    }
}

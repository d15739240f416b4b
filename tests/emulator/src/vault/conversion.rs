//! `outContentType`: whether a vault turns the PFX behind a certificate into PEM when asked to.

use clap::ValueEnum;
use hyper::StatusCode;
use serde::Deserialize;

use super::certificate::{CertificateSpec, PEM, PKCS12, Stored};
use super::object::Version;
use super::refusal::VaultRefusal;
use super::secret::SecretSpec;

/// The api-version that brought `outContentType`; the later ones are dates too, and the earlier ones are not.
const SINCE: &str = "2025-07-01";
/// What a vault that knows no later one recommends.
const LATEST_BEFORE: &str = "7.6";

/// What the vaults make of `outContentType`; which clouds have got it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Conversion {
    /// A PFX becomes PEM, from api-version 2025-07-01 on; before it the parameter means nothing.
    #[default]
    Done,
    /// The parameter means nothing, whatever the api-version.
    Ignored,
    /// The vaults refuse api-version 2025-07-01 and later ones, for every request.
    VersionUnknown,
}

impl Conversion {
    /// Refuses an api-version that the vaults do not know yet.
    pub(crate) fn admit(self, api_version: &str) -> Result<(), VaultRefusal> {
        if self != Self::VersionUnknown || !is_since(api_version) {
            return Ok(());
        }
        Err(VaultRefusal::bad_parameter(&format!(
            "The specified version ({api_version}) is not recognized. Consider using the latest supported version \
             ({LATEST_BEFORE})."
        )))
    }

    /// Turns a secret into the content type asked for, if that is ever done here.
    pub(crate) fn convert(
        self,
        secret: &mut Version<SecretSpec>,
        certificate: Option<&CertificateSpec>,
        wanted: &str,
        api_version: &str,
    ) -> Result<(), VaultRefusal> {
        if self != Self::Done || !is_since(api_version) {
            return Ok(());
        }
        let stored = certificate.map(|certificate| &certificate.stored);
        if wanted == PEM
            && let Some(Stored::Pfx { pem, .. }) = stored
        {
            // A test that did not say what the conversion gives is told so by a failure, not by an invention.
            let pem = pem.as_ref().ok_or(VaultRefusal::Failed(StatusCode::INTERNAL_SERVER_ERROR))?;
            secret.spec.value.clone_from(pem);
            secret.spec.content_type = Some(PEM.to_owned());
            return Ok(());
        }
        let from = format(stored.map_or("", Stored::content_type));
        let to = format(wanted);
        Err(VaultRefusal::bad_parameter(&format!(
            "The '{from}' to '{to}' transformation is not supported. Only PFX to PEM transformation is supported."
        )))
    }
}

fn is_since(api_version: &str) -> bool {
    api_version.starts_with("20") && api_version >= SINCE
}

fn format(content_type: &str) -> &'static str {
    match content_type {
        PEM => "PEM",
        PKCS12 => "PFX",
        _ => "Unsupported",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_versions_are_told_apart_by_age() {
        for old in ["7.0", "7.6", "7.6-preview.1", "2016-10-01", "2025-06-01-preview"] {
            assert!(!is_since(old), "{old}");
        }
        for new in ["2025-07-01", "2026-03-01-preview", "2026-04-01"] {
            assert!(is_since(new), "{new}");
            assert!(Conversion::VersionUnknown.admit(new).is_err(), "{new}");
        }
    }
}

//! What can go wrong while the emulator starts or listens.

/// Why the emulator could not start or listen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A socket or thread could not be had.
    #[error("cannot listen: {0}")]
    Io(#[from] std::io::Error),
    /// The CA or the leaf could not be made.
    #[error("cannot make certificates: {0}")]
    Certificates(#[from] rcgen::Error),
    /// The certificates do not suit TLS.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The library of cryptography refused.
    #[error("cannot make a key: {0}")]
    Key(#[from] aws_lc_rs::error::Unspecified),
    /// The library of cryptography refused its own key.
    #[error("cannot read a key: {0}")]
    KeyRejected(#[from] aws_lc_rs::error::KeyRejected),
    /// There is no certificate in the PEM.
    #[error("cannot read a certificate: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// The certificate is not one.
    #[error("cannot read a certificate: {0}")]
    Certificate(#[from] webpki::Error),
    /// The domain cannot be part of a host name.
    #[error("'{0}' is not a domain name")]
    Domain(String),
    /// The keys of an issuer are not in a JWKS.
    #[error("not a JWKS: {0}")]
    NotJwks(serde_json::Error),
    /// The keys of an issuer are of other types than the one that is verified.
    #[error("the JWKS has no RSA key")]
    NoRsaKey,
    /// A key of an issuer lacks a member, or is no key.
    #[error("the JWKS has a bad RSA key, with the kid '{id}': it needs kid, n and e, the last two in base64url")]
    BadRsaKey {
        /// What the key is called.
        id: String,
    },
    /// A listener did not close in time.
    #[error("a listener did not close within 10 s")]
    NotClosed,
}

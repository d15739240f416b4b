//! Sorts certificates: the one that a key belongs to, and above it who issued whom.

use super::x509::{PublicKey, X509};

/// The certificates of one key, in the order in which each was issued by the next.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) leaf: X509,
    /// Those between the leaf and the root.
    pub(super) intermediates: Vec<X509>,
    /// The one that has issued itself, if it is there and is not the leaf.
    pub(super) root: Option<X509>,
}

impl Chain {
    /// Sorts what is stored with a key; none when the key belongs to none of it.
    ///
    /// A key may have several certificates, after a renewal that kept it or with a cross-signed authority: the one
    /// that is no authority goes first, then the one that ends last.
    pub(super) fn of_key(key: &PublicKey, certificates: Vec<X509>) -> Option<Self> {
        let leaf = certificates
            .iter()
            .filter(|certificate| certificate.public_key == *key)
            .max_by_key(|certificate| (!certificate.is_ca, certificate.not_after))?
            .clone();
        Some(Self::above(leaf, certificates))
    }

    /// Sorts what is stored without a key; none when nothing is stored. The leaf is the first that has issued none of the others,
    /// before all that are authorities.
    pub(super) fn without_key(certificates: Vec<X509>) -> Option<Self> {
        let issues = |one: &X509| certificates.iter().any(|other| other != one && other.names_as_issuer(one));
        let leaf = certificates.iter().min_by_key(|certificate| (issues(certificate), certificate.is_ca))?.clone();
        Some(Self::above(leaf, certificates))
    }

    /// Follows the issuers up from the leaf. What leads nowhere is left out. Each step takes a certificate away, so
    /// that those who have issued each other end the walk sooner or later.
    fn above(leaf: X509, mut rest: Vec<X509>) -> Self {
        rest.retain(|certificate| *certificate != leaf);
        let (mut intermediates, mut root, mut top) = (Vec::new(), None, leaf.clone());
        while !top.is_self_issued() {
            // An authority that is stored twice, as a root and signed by another one, ends the chain as a root: that
            // is who is trusted.
            let issuers = rest.iter().enumerate().filter(|(_, other)| top.names_as_issuer(other));
            let best = issuers.max_by_key(|(_, other)| (other.is_self_issued(), other.is_ca, other.not_after));
            let Some((at, _)) = best else { break };
            top = rest.swap_remove(at);
            if top.is_self_issued() {
                root = Some(top.clone());
            } else {
                intermediates.push(top.clone());
            }
        }
        Self { leaf, intermediates, root }
    }

    /// The topmost authority that is known: who the leaf is verified against. None when nobody above the leaf is stored.
    pub(super) fn authority(&self) -> Option<&X509> {
        let own = self.leaf.is_self_issued().then_some(&self.leaf);
        self.root.as_ref().or(self.intermediates.last()).or(own)
    }
}

//! Who may do what in which vault, and what he is told if he may not.

use serde::{Deserialize, Serialize};

use super::collection::Collection;
use super::refusal::VaultRefusal;
use crate::DEFAULT_CLIENT;

/// What an identity may do; each collection has permissions of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read the values of secrets, those behind certificates included.
    Get,
    /// List secrets and versions.
    List,
    /// Read certificates.
    GetCertificate,
    /// List certificates and versions.
    ListCertificates,
    /// Read public keys, those behind certificates included.
    GetKey,
    /// List keys and versions.
    ListKeys,
}

impl Permission {
    pub(crate) fn get(collection: Collection) -> Self {
        match collection {
            Collection::Secrets => Self::Get,
            Collection::Certificates => Self::GetCertificate,
            Collection::Keys => Self::GetKey,
        }
    }

    pub(crate) fn list(collection: Collection) -> Self {
        match collection {
            Collection::Secrets => Self::List,
            Collection::Certificates => Self::ListCertificates,
            Collection::Keys => Self::ListKeys,
        }
    }
}

/// Why a vault answers 403: its inner codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Refusal {
    /// No role assignment.
    #[default]
    ForbiddenByRbac,
    /// No access policy.
    AccessDenied,
    /// The firewall does not know the address.
    ForbiddenByFirewall,
    /// Public access is off.
    ForbiddenByConnection,
    /// The secret's version is disabled.
    SecretDisabled,
    /// The certificate's version is disabled.
    CertificateDisabled,
    /// The key's version is disabled.
    KeyDisabled,
}

impl Refusal {
    pub(crate) fn disabled(collection: Collection) -> Self {
        match collection {
            Collection::Secrets => Self::SecretDisabled,
            Collection::Certificates => Self::CertificateDisabled,
            Collection::Keys => Self::KeyDisabled,
        }
    }
}

/// Grants and denials; of those that match, the last one counts.
#[derive(Debug)]
pub(crate) struct Rules(Vec<Rule>);

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) client: String,
    /// None is every vault.
    pub(crate) vault: Option<String>,
    /// None is every permission.
    pub(crate) permission: Option<Permission>,
    /// None is the whole vault; a rule for one object says nothing about listing the vault.
    pub(crate) object: Option<String>,
    /// None is a grant.
    pub(crate) refusal: Option<Refusal>,
}

impl Rules {
    pub(crate) fn new(default_access: bool) -> Self {
        let mut rules = Self(Vec::new());
        if default_access {
            rules.trust(DEFAULT_CLIENT);
        }
        rules
    }

    /// Lets a client do everything everywhere.
    pub(crate) fn trust(&mut self, client: &str) {
        self.add(Rule { client: client.to_owned(), vault: None, permission: None, object: None, refusal: None });
    }

    pub(crate) fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    pub(crate) fn check(
        &self,
        client: &str,
        vault: &str,
        permission: Permission,
        object: Option<&str>,
    ) -> Result<(), VaultRefusal> {
        let covers = |limit: &Option<String>, asked: Option<&str>| {
            limit.as_deref().is_none_or(|limit| asked.is_some_and(|asked| limit.eq_ignore_ascii_case(asked)))
        };
        let applies = |rule: &&Rule| {
            rule.client.eq_ignore_ascii_case(client)
                && covers(&rule.vault, Some(vault))
                && rule.permission.is_none_or(|one| one == permission)
                && covers(&rule.object, object)
        };
        match self.0.iter().rfind(applies) {
            Some(Rule { refusal: None, .. }) => Ok(()),
            Some(Rule { refusal: Some(refusal), .. }) => Err(VaultRefusal::Forbidden(*refusal)),
            None => Err(VaultRefusal::Forbidden(Refusal::default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(object: Option<&str>, permission: Permission, refusal: Option<Refusal>) -> Rule {
        Rule {
            client: "c".to_owned(),
            vault: Some("v".to_owned()),
            permission: Some(permission),
            object: object.map(str::to_owned),
            refusal,
        }
    }

    #[test]
    fn the_last_rule_that_matches_counts() {
        let mut rules = Rules::new(true);
        rules.add(rule(None, Permission::Get, None));
        rules.add(rule(Some("b"), Permission::Get, Some(Refusal::AccessDenied)));
        assert_eq!(rules.check("C", "V", Permission::Get, Some("a")), Ok(()));
        assert_eq!(
            rules.check("c", "v", Permission::Get, Some("B")),
            Err(VaultRefusal::Forbidden(Refusal::AccessDenied))
        );
    }

    #[test]
    fn a_grant_for_one_secret_does_not_let_the_vault_be_listed() {
        let mut rules = Rules::new(true);
        rules.add(rule(Some("a"), Permission::List, None));
        assert!(rules.check("c", "v", Permission::List, None).is_err());
        assert!(rules.check(DEFAULT_CLIENT, "v", Permission::List, None).is_ok());
    }
}

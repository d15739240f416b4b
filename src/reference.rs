//! References: one string that says where a secret is, in every spelling, and the objects that are fetched for them.
//!
//! `names`, `workspace` and `scope` hold what may stand in a URL and nothing else; `parse` reads what people write, with
//! a file for each kind that is more than a word.

mod connection;
mod marked;
mod names;
mod parse;
mod scope;
mod shelf;
mod vault;
mod workspace;
mod wrapped;

use std::fmt;
use std::path::{Path, PathBuf};

pub use names::{
    ConnectionName, IdentityName, ObjectName, SecretName, VaultHost, VersionId, encoded, is_guid, parse_alias,
    parse_host,
};
pub use scope::Scope;
pub use shelf::Shelf;
pub use workspace::Workspace;

/// What the user wrote, understood: every spelling comes in, one canonical form goes out by `Display`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// An object in a Key Vault.
    Vault {
        /// The vault.
        vault: VaultName,
        /// What kind of object.
        collection: Collection,
        /// The object.
        name: ObjectName,
        /// One version for ever, or the latest.
        version: Option<VersionId>,
    },
    /// A connection of an Azure Machine Learning workspace, or a piece of one.
    Connection {
        /// The workspace, if it is not the configuration's.
        workspace: Option<Workspace>,
        /// The connection.
        name: ConnectionName,
        /// Which piece.
        member: Member,
    },
    /// An Entra access token.
    Token {
        /// For what.
        scope: Scope,
    },
    /// A local file, by absolute path.
    File(PathBuf),
}

/// Which vault a reference means, before the configuration's aliases and cloud are known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum VaultName {
    /// A name from `vaults:`.
    Alias(String),
    /// `https://` host, lower case, with its port when that is not 443.
    Host(String),
    /// The first label of a host, lower case: App Service's `VaultName`, which the cloud's suffix completes.
    Short(String),
}

/// The kinds of objects that a vault holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// A secret: text.
    Secret,
    /// A certificate, with its private key and chain.
    Certificate,
    /// A key, of which a vault shows the public half.
    Key,
}

impl Collection {
    /// Its segment of a vault's URLs.
    pub fn segment(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::Certificate => "certificates",
            Self::Key => "keys",
        }
    }
}

/// Which piece of a connection a reference means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// All of it, as JSON.
    Whole,
    /// One credential, by its exact name: `key`, the key's own name for `CustomKeys`, else the JSON member's.
    Credential(String),
    /// Where it leads to.
    Target,
    /// One value of its metadata, by its exact name.
    Metadata(String),
}

/// The unit of fetching: one request for one thing, and as whom. All members of a connection are one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// An object in a Key Vault.
    Vault {
        /// Who signs in.
        identity: IdentityName,
        /// The vault.
        vault: VaultHost,
        /// What kind of object.
        collection: Collection,
        /// The object.
        name: ObjectName,
        /// One version, or the latest.
        version: Option<VersionId>,
    },
    /// A connection of a workspace.
    Connection {
        /// Who signs in.
        identity: IdentityName,
        /// The workspace.
        workspace: Workspace,
        /// The connection.
        name: ConnectionName,
    },
    /// An Entra access token.
    Token {
        /// Who signs in, and whose token it is.
        identity: IdentityName,
        /// For what.
        scope: Scope,
    },
    /// A local file.
    File(PathBuf),
}

/// What many objects stand behind: when it is shut, none of them is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// Signing in as this identity.
    Identity(IdentityName),
    /// Reaching this host.
    Host(Host),
}

/// A host that objects are asked of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A vault.
    Vault(VaultHost),
    /// The cloud's resource manager, of which there is one.
    ResourceManager,
}

impl Object {
    /// Who signs in for it; nobody for a file.
    pub fn identity(&self) -> Option<&IdentityName> {
        match self {
            Self::Vault { identity, .. } | Self::Connection { identity, .. } | Self::Token { identity, .. } => {
                Some(identity)
            }
            Self::File(_) => None,
        }
    }

    /// The host it is asked of; none for a file, and for a token, which signing in itself brings.
    pub fn host(&self) -> Option<Host> {
        match self {
            Self::Vault { vault, .. } => Some(Host::Vault(vault.clone())),
            Self::Connection { .. } => Some(Host::ResourceManager),
            Self::Token { .. } | Self::File(_) => None,
        }
    }

    /// The gates in front of it, the one that is passed first first.
    pub fn gates(&self) -> Vec<Gate> {
        let identity = self.identity().cloned().map(Gate::Identity);
        identity.into_iter().chain(self.host().map(Gate::Host)).collect()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vault(vault) => write!(f, "vault {vault}"),
            Self::ResourceManager => f.write_str("Azure Resource Manager"),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vault { vault, collection, name, version, .. } => {
                write_vault(f, &format_args!("https://{vault}"), *collection, name, version.as_ref())
            }
            Self::Connection { workspace, name, .. } => write_connection(f, Some(workspace), name, &Member::Whole),
            Self::Token { scope, .. } => write!(f, "entra:{scope}"),
            Self::File(path) => write_file(f, path),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vault { vault, collection, name, version } => match vault {
                VaultName::Alias(alias) => write_vault(f, alias, *collection, name, version.as_ref()),
                VaultName::Host(host) => {
                    write_vault(f, &format_args!("https://{host}"), *collection, name, version.as_ref())
                }
                VaultName::Short(vault) => {
                    write!(f, "@Microsoft.KeyVault(VaultName={vault};SecretName={}", name.as_str())?;
                    version.iter().try_for_each(|version| write!(f, ";SecretVersion={}", version.as_str()))?;
                    f.write_str(")")
                }
            },
            Self::Connection { workspace, name, member } => write_connection(f, workspace.as_ref(), name, member),
            Self::Token { scope } => write!(f, "entra:{scope}"),
            Self::File(path) => write_file(f, path),
        }
    }
}

fn write_vault(
    f: &mut fmt::Formatter<'_>,
    vault: &dyn fmt::Display,
    collection: Collection,
    name: &ObjectName,
    version: Option<&VersionId>,
) -> fmt::Result {
    write!(f, "keyvault:{vault}/{}/{}", collection.segment(), name.as_str())?;
    version.map_or(Ok(()), |version| write!(f, "/{}", version.as_str()))
}

fn write_connection(
    f: &mut fmt::Formatter<'_>,
    workspace: Option<&Workspace>,
    name: &ConnectionName,
    member: &Member,
) -> fmt::Result {
    f.write_str("azureml://")?;
    if let Some(workspace) = workspace {
        let (subscription, group) = (workspace.subscription(), workspace.resource_group());
        write!(f, "subscriptions/{subscription}/resourceGroups/{group}/workspaces/{}/", workspace.name())?;
    }
    write!(f, "connections/{}", name.as_str())?;
    match member {
        Member::Whole => Ok(()),
        Member::Credential(credential) => write!(f, "/credentials/{}", names::encoded(credential)),
        Member::Target => f.write_str("/target"),
        Member::Metadata(key) => write!(f, "/metadata/{}", names::encoded(key)),
    }
}

fn write_file(f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
    write!(f, "file:{}", path.display())
}

#[cfg(test)]
mod tests;

//! What a test may change while the services run.

use std::sync::atomic::Ordering;

use crate::entra::{ClientCertificate, IssuerKeys};
use crate::fault::{Fault, FaultId};
use crate::resource_manager::ConnectionRule;
use crate::vault::Rule;
use crate::{
    App, Assertion, CertificateSpec, ConnectionPermission, ConnectionSpec, DEFAULT_TENANT, Emulator, Error, KeySpec,
    ManagedIdentity, Permission, Refusal, SecretSpec, Workspace,
};

/// Identities.
impl Emulator {
    /// Adds an app, or another federated credential of one; it may read nothing until allowed to.
    pub fn add_app(&self, app: App) {
        self.world().directory.with(|directory| directory.add(app));
    }

    /// Trusts an issuer's RSA keys, as a cluster publishes them at `/openid/v1/jwks`; they replace those it had before.
    ///
    /// Whose tokens are accepted the federated credentials say, so add an app with this issuer too.
    pub fn trust_issuer(&self, issuer: &str, jwks: &str) -> Result<(), Error> {
        let keys = IssuerKeys::read(jwks)?;
        self.world().issuers.with(|issuers| issuers.trust(issuer, keys));
        Ok(())
    }

    /// Makes an audience known, besides those of the emulator's services and of Azure, so that tokens can be had for it.
    pub fn add_audience(&self, audience: &str) {
        self.world().audiences.with(|audiences| audiences.add(audience));
    }

    /// Gives a client a secret besides those it has; the client comes to exist with it.
    pub fn add_client_secret(&self, tenant: &str, client: &str, secret: &str) {
        self.world().directory.with(|directory| directory.add_secret(tenant, client, secret));
    }

    /// Takes all secrets from a client.
    pub fn remove_client_secrets(&self, tenant: &str, client: &str) {
        self.world().directory.with(|directory| directory.remove_secrets(tenant, client));
    }

    /// Registers the first certificate of a PEM text with a client, which comes to exist with it; its key must be RSA.
    pub fn add_client_certificate(&self, tenant: &str, client: &str, pem: &str) -> Result<(), Error> {
        self.world().register_certificate(tenant, client, ClientCertificate::read(pem)?);
        Ok(())
    }

    /// Makes a certificate, registers it with a client, and gives it with its key in PEM.
    pub fn make_client_certificate(&self, tenant: &str, client: &str) -> Result<String, Error> {
        self.world().make_certificate(tenant, client)
    }

    /// Assigns a managed identity besides the others; it may read nothing until allowed to.
    pub fn add_managed_identity(&self, identity: ManagedIdentity) {
        self.world().identities.with(|identities| identities.add(identity));
    }

    /// Puts another identity in place of the system-assigned one, or none.
    pub fn set_system_identity(&self, identity: Option<ManagedIdentity>) {
        self.world().identities.with(|identities| identities.system_assigned = identity);
    }

    /// Mints a federated token, as the cluster would project it into a pod.
    #[expect(clippy::expect_used, reason = "signing with a key made at start fails for want of memory only")]
    pub fn federated_token(&self, assertion: &Assertion) -> String {
        self.world().cluster.mint(assertion).expect("the cluster's key signs")
    }

    /// Lets a client do everything in all vaults and workspaces.
    pub fn trust(&self, client: &str) {
        self.world().trust(client);
    }

    /// Lets a client do something in a vault, or with one object of it only.
    pub fn allow(&self, client: &str, vault: &str, permission: Permission, object: Option<&str>) {
        self.rule(client, vault, permission, object, None);
    }

    /// Forbids a client something in a vault, or with one object of it only, for the reason given.
    pub fn deny(&self, client: &str, vault: &str, permission: Permission, object: Option<&str>, refusal: Refusal) {
        self.rule(client, vault, permission, object, Some(refusal));
    }

    fn rule(&self, client: &str, vault: &str, permission: Permission, object: Option<&str>, refusal: Option<Refusal>) {
        let rule = Rule {
            client: client.to_owned(),
            vault: Some(vault.to_owned()),
            permission: Some(permission),
            object: object.map(str::to_owned),
            refusal,
        };
        self.world().rules.with(|rules| rules.add(rule));
    }
}

/// Azure OpenAI.
impl Emulator {
    /// Puts others in place of the keys that every resource takes. There are none at first, and tokens are taken always.
    pub fn set_openai_keys(&self, keys: &[&str]) {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self.world().openai_keys.with(|known| *known = keys);
    }
}

/// Vaults and secrets.
impl Emulator {
    /// Adds a vault of the default tenant, unless it exists.
    pub fn add_vault(&self, vault: &str) {
        self.add_vault_in(vault, DEFAULT_TENANT);
    }

    /// Adds a vault of a tenant, or moves it there.
    pub fn add_vault_in(&self, vault: &str, tenant: &str) {
        self.world().vaults.with(|vaults| vaults.add(vault, tenant));
    }

    /// Puts a new version of a plain secret, adding the vault if need be, and gives the version's id.
    pub fn put_secret(&self, vault: &str, name: &str, value: &str) -> String {
        self.put_secret_with(vault, SecretSpec::new(name, value))
    }

    /// Puts a new version of a secret, adding the vault if need be, and gives the version's id.
    pub fn put_secret_with(&self, vault: &str, spec: SecretSpec) -> String {
        self.world().in_vault(vault, |vault, now| vault.secrets.put(spec, now))
    }

    /// Changes the latest version of a secret, or the one named, in place; tells whether there is one.
    pub fn update_secret(
        &self,
        vault: &str,
        name: &str,
        version: Option<&str>,
        change: impl FnOnce(&mut SecretSpec),
    ) -> bool {
        self.world().in_known_vault(vault, |vault, now| vault.secrets.change(name, version, now, change).is_some())
    }

    /// Deletes a secret with all its versions; tells whether there was one.
    pub fn delete_secret(&self, vault: &str, name: &str) -> bool {
        self.world().in_known_vault(vault, |vault, _| vault.secrets.delete(name))
    }

    /// Puts an empty page with a `nextLink` behind every full one, or stops doing so.
    pub fn set_empty_pages(&self, empty_pages: bool) {
        self.world().empty_pages.store(empty_pages, Ordering::Relaxed);
    }
}

/// Certificates and keys.
impl Emulator {
    /// Puts a new version of a certificate with the secret and the key behind it, adding the vault if need be, and gives
    /// the version's id, which all three share.
    ///
    /// # Panics
    ///
    /// If there is no leaf: neither `leaf_der` nor a certificate in the PEM.
    #[expect(clippy::expect_used, reason = "a test that forgot the leaf has to hear of it where it did")]
    pub fn put_certificate(&self, vault: &str, spec: CertificateSpec) -> String {
        let spec = spec.completed().expect("there is a leaf");
        self.world().in_vault(vault, |vault, now| vault.put_certificate(&spec, now))
    }

    /// Changes the latest version of a certificate, or the one named, in place, and the secret and the key behind it with
    /// it; tells whether there is one.
    pub fn update_certificate(
        &self,
        vault: &str,
        name: &str,
        version: Option<&str>,
        change: impl FnOnce(&mut CertificateSpec),
    ) -> bool {
        self.world().in_known_vault(vault, |vault, now| vault.change_certificate(name, version, now, change))
    }

    /// Deletes a certificate with all its versions and what is behind them; tells whether there was one.
    pub fn delete_certificate(&self, vault: &str, name: &str) -> bool {
        self.world().in_known_vault(vault, |vault, _| vault.delete_certificate(name))
    }

    /// Puts a new version of a key, adding the vault if need be, and gives the version's id.
    pub fn put_key(&self, vault: &str, spec: KeySpec) -> String {
        self.world().in_vault(vault, |vault, now| vault.keys.put(spec, now))
    }

    /// Changes the latest version of a key, or the one named, in place; tells whether there is one.
    pub fn update_key(
        &self,
        vault: &str,
        name: &str,
        version: Option<&str>,
        change: impl FnOnce(&mut KeySpec),
    ) -> bool {
        self.world().in_known_vault(vault, |vault, now| vault.keys.change(name, version, now, change).is_some())
    }

    /// Deletes a key with all its versions; tells whether there was one.
    pub fn delete_key(&self, vault: &str, name: &str) -> bool {
        self.world().in_known_vault(vault, |vault, _| vault.keys.delete(name))
    }
}

/// Workspaces and connections.
impl Emulator {
    /// Adds a workspace without connections, unless it exists.
    pub fn add_workspace(&self, workspace: impl Into<Workspace>) {
        self.world().workspaces.with(|workspaces| {
            workspaces.add(&workspace.into());
        });
    }

    /// Puts a connection in place of the one of that name, if any, adding the workspace if need be.
    pub fn put_connection(&self, workspace: impl Into<Workspace>, spec: ConnectionSpec) {
        self.world().put_connection(&workspace.into(), spec);
    }

    /// Deletes a connection; tells whether there was one.
    pub fn delete_connection(&self, workspace: impl Into<Workspace>, name: &str) -> bool {
        let workspace = workspace.into();
        self.world()
            .workspaces
            .with(|workspaces| workspaces.find_mut(&workspace).is_some_and(|workspace| workspace.delete(name)))
    }

    /// Lets a client do something with a workspace's connections, or with one of them only.
    pub fn allow_connections(
        &self,
        client: &str,
        workspace: impl Into<Workspace>,
        permission: ConnectionPermission,
        connection: Option<&str>,
    ) {
        self.connection_rule(client, workspace.into(), permission, connection, true);
    }

    /// Forbids a client something with a workspace's connections, or with one of them only.
    pub fn deny_connections(
        &self,
        client: &str,
        workspace: impl Into<Workspace>,
        permission: ConnectionPermission,
        connection: Option<&str>,
    ) {
        self.connection_rule(client, workspace.into(), permission, connection, false);
    }

    fn connection_rule(
        &self,
        client: &str,
        workspace: Workspace,
        permission: ConnectionPermission,
        connection: Option<&str>,
        allowed: bool,
    ) {
        let rule = ConnectionRule {
            client: client.to_owned(),
            workspace: Some(workspace),
            permission: Some(permission),
            connection: connection.map(str::to_owned),
            allowed,
        };
        self.world().connection_rules.with(|rules| rules.add(rule));
    }
}

/// Faults, time and tokens.
impl Emulator {
    /// Puts a fault in force.
    pub fn fault(&self, fault: Fault) -> FaultId {
        self.world().faults.with(|faults| faults.install(fault))
    }

    /// Ends a fault; requests it holds are answered now.
    pub fn clear_fault(&self, id: FaultId) {
        self.world().faults.with(|faults| faults.clear(id));
    }

    /// Ends all faults; requests they hold are answered now.
    pub fn clear_faults(&self) {
        self.world().faults.with(crate::fault::Faults::clear_all);
    }

    /// Shifts the services' clock against the machine's.
    pub fn set_clock_skew(&self, seconds: i64) {
        self.world().clock.set_skew(seconds);
    }

    /// Sets how many seconds the access tokens issued from now on last.
    pub fn set_token_lifetime(&self, seconds: i64) {
        self.world().set_token_lifetime(seconds);
    }

    /// Sets how many seconds the access tokens issued from now on for one audience last, with or without its slash.
    pub fn set_token_lifetime_for(&self, audience: &str, seconds: i64) {
        self.world().set_token_lifetime_for(audience, seconds);
    }

    /// Makes every access token issued so far answer 401 as expired.
    pub fn revoke_tokens(&self) {
        self.world().access_tokens.with(crate::entra::AccessTokens::revoke_all);
    }
}

use super::*;
use crate::config::identity::{
    AzureCli, ClientCertificate, ClientSecret, Managed, Platform, TokenProxy, Trust, Workload,
};
use crate::config::nearby::Nearby;
use crate::failure::Code;
use crate::reference::{Collection, ConnectionName, ObjectName, Scope, VaultHost, VersionId, Workspace};

fn advice(blame: Blame, kind: Kind, code: &str) -> String {
    advice_for(workload(), blame, kind, code)
}

fn workload() -> Identity {
    let (tenant, client, token_file) = ("my-tenant".to_owned(), "my-client".to_owned(), "/token".into());
    Identity::Workload(Workload { tenant, client, token_file, proxy: None })
}

fn advice_for(identity: Identity, blame: Blame, kind: Kind, code: &str) -> String {
    advice_on((Collection::Secret, "db", None), identity, (blame, kind, code))
}

type What = (Collection, &'static str, Option<&'static str>);

fn advice_on(
    (collection, name, version): What,
    identity: Identity,
    (blame, kind, code): (Blame, Kind, &str),
) -> String {
    let kept = ObjectName::parse(name).unwrap();
    let name = IdentityName("default".to_owned());
    let object = Object::Vault {
        collection,
        identity: name.clone(),
        vault: VaultHost("contoso.vault.azure.net".to_owned()),
        name: kept,
        version: version.map(|version| VersionId::parse(version).unwrap()),
    };
    on(&Failure::new(blame, kind, Code::new(code)), &object, &BTreeMap::from([(name, identity)]))
}

#[test]
fn each_cause_has_its_own_advice() {
    let table = [
        (
            Blame::Object,
            Kind::Denied,
            "ForbiddenByRbac",
            "az role assignment create --role \"Key Vault Secrets User\" --assignee my-client",
        ),
        (
            Blame::Object,
            Kind::Denied,
            "AccessDenied",
            "az keyvault set-policy --name contoso --spn my-client --secret-permissions get",
        ),
        (Blame::Object, Kind::Missing, "SecretNotFound", "az keyvault secret recover --vault-name contoso --name db"),
        (
            Blame::Object,
            Kind::Disabled,
            "SecretDisabled",
            "az keyvault secret set-attributes --vault-name contoso --name db --enabled true",
        ),
        (Blame::Host, Kind::Denied, "ForbiddenByFirewall", "az keyvault network-rule add --name contoso"),
        (Blame::Host, Kind::Denied, "ForbiddenByConnection", "private endpoint"),
        (Blame::Host, Kind::Outage, "dns", "az keyvault show --name contoso"),
        (Blame::Host, Kind::Throttled, "Throttled", "a longer refresh.interval asks less often"),
        (Blame::Host, Kind::Outage, "http-302", "keyferry follows no redirect"),
        (Blame::Object, Kind::Content, "unexpected", "'expect' in the configuration"),
        (Blame::Host, Kind::Misconfigured, "AKV10032", "properties.tenantId"),
        (Blame::Identity, Kind::Missing, "token-file-missing", "client my-client signs in with it"),
        (Blame::Identity, Kind::Denied, "AADSTS700213", "subject"),
        (Blame::Identity, Kind::Denied, "AADSTS700211", "issuer"),
        (Blame::Identity, Kind::Denied, "AADSTS700212", "audience"),
        (Blame::Identity, Kind::Denied, "AADSTS700024", "stale"),
        (Blame::Identity, Kind::Misconfigured, "AADSTS700016", "az ad sp show --id my-client"),
        (Blame::Identity, Kind::Misconfigured, "AADSTS90002", "no tenant my-tenant"),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (blame, kind, code, piece) in table {
        let advice = advice(blame, kind, code);
        assert!(advice.contains(piece), "{code}: {advice}");
        assert!(!advice.ends_with('.'), "{advice}");
        assert!(seen.insert(advice), "{code}");
    }
}

fn application() -> [Identity; 2] {
    let (tenant, client) = ("my-tenant".to_owned(), "my-client".to_owned());
    [
        Identity::ClientSecret(ClientSecret { tenant: tenant.clone(), client: client.clone(), file: None }),
        Identity::ClientCertificate(ClientCertificate { tenant, client, file: "/app.pem".into() }),
    ]
}

fn managed(which: Which) -> Managed {
    Managed { platform: Platform::Imds(Nearby::parse("http://169.254.169.254", "/").unwrap()), which }
}

#[test]
fn each_kind_of_identity_has_its_own_advice() {
    let [secret, certificate] = application();
    let system = Identity::Managed(managed(Which::System));
    let workload = Identity::Workload(Workload {
        tenant: "my-tenant".to_owned(),
        client: "my-client".to_owned(),
        token_file: "/token".into(),
        proxy: None,
    });
    let proxy = TokenProxy {
        host: "proxy.example".to_owned(),
        port: 443,
        path: "/".to_owned(),
        server_name: None,
        trust: Trust::System,
    };
    let Identity::Workload(unbound) = &workload else { unreachable!() };
    let bound = Identity::Workload(Workload { proxy: Some(proxy), ..unbound.clone() });
    let cli = Identity::AzureCli(AzureCli { tenant: Some("my-tenant".to_owned()) });
    let detected = Identity::Detected(managed(Which::System));
    let by_client = Identity::Detected(managed(Which::Client("my-client".to_owned())));
    let resource = Identity::Managed(managed(Which::Resource("my-id".to_owned())));
    let table = [
        (&workload, "AADSTS90061", "az aks show"),
        (&workload, "AADSTS70011", "az cloud show"),
        (&workload, "AADSTS501051", "servicePrincipals(appId='my-client')/appRoleAssignments\""),
        (&system, "AADSTS501051", "servicePrincipals/<principal-id>/appRoleAssignments\""),
        (
            &resource,
            "AADSTS501051",
            "servicePrincipals/$(az identity show --ids my-id --query principalId --output tsv)/app",
        ),
        (&cli, "AADSTS501051", "v1.0/me/appRoleAssignments\""),
        (&cli, "AADSTS50076", "log in anew: az login"),
        (&workload, "AADSTS50196", "too often by client my-client"),
        (&workload, "AADSTS90055", "tenant my-tenant"),
        (&workload, "AADSTS700027", "published keys"),
        (&bound, "token-proxy-unreachable", "AZURE_KUBERNETES_TOKEN_PROXY"),
        (&bound, "token-proxy-certificate", "AZURE_KUBERNETES_SNI_NAME"),
        (&bound, "token-proxy-ca-missing", "use-identity-binding"),
        (&workload, "http-403", "az ad sp show"),
        (&workload, "AADSTS700212", "(api://AzureADTokenExchange)"),
        (&bound, "AADSTS700212", "must be of the audience api://AKSIdentityBinding"),
        (&workload, "http-308", "follows no redirect"),
        (&system, "imds-http-302", "follows no redirect"),
        (&bound, "http-403", "kubectl auth can-i use-managed-identity my-client.cid.wi.aks.azure.com"),
        (&secret, "secret-file-missing", "az ad app credential reset --id my-client"),
        (&secret, "AADSTS7000215", "az ad app credential list --id my-client"),
        (&secret, "AADSTS7000222", "expired"),
        (&secret, "AADSTS700016", "not an application of tenant my-tenant"),
        (&certificate, "certificate-missing", "PEM"),
        (&certificate, "certificate-encrypted", "openssl pkcs12"),
        (&certificate, "certificate-encrypted", "openssl pkey -in app.pem -out key.pem"),
        (&certificate, "certificate-not-rsa", "--create-cert"),
        (&certificate, "certificate-of-another-key", "belongs to the key"),
        (&certificate, "AADSTS700027", "--cert @app.pem --append"),
        (&certificate, "AADSTS700024", "date -u"),
        (&system, "identity-not-found", "assign the system-assigned identity here: az vm identity show"),
        (&system, "identity-not-found", "its id, from 'identity' in the configuration or from AZURE_CLIENT_ID"),
        (&system, "identity-not-found", "az ml online-endpoint show --name <endpoint> --workspace-name <workspace>"),
        (&system, "several-identities", "AZURE_CLIENT_ID"),
        (&system, "imds-unreachable", "169.254.169.254"),
        (&system, "imds-updating", "back within minutes"),
        (&system, "imds-throttled", "few requests a second"),
        (&system, "imds-http-400", "az identity list"),
        (&system, "imds-http-403", "use workload identity"),
        (&system, "imds-invalid-resource", "az cloud show"),
        (&system, "identity-endpoint-unreachable", "az webapp restart"),
        (&system, "identity-endpoint-refuses-the-secret", "IDENTITY_HEADER"),
        (&system, "identity-endpoint-http-400", "az webapp identity show"),
        (&system, "identity-endpoint-throttled", "App Service"),
        (&system, "msi-endpoint-unreachable", "az ml online-deployment get-logs"),
        (&system, "msi-endpoint-refuses-the-secret", "MSI_SECRET"),
        (&system, "msi-endpoint-http-400", "az ml online-endpoint show"),
        (&system, "msi-endpoint-throttled", "Azure ML"),
        (&system, "public-address", "must not leave"),
        (&cli, "az-not-installed", "https://aka.ms/azure-cli"),
        (&cli, "az-not-logged-in", "az login --tenant my-tenant"),
        (&cli, "az-timeout", "--debug"),
        (
            &cli,
            "az-failed",
            "az account get-access-token --scope https://vault.azure.net/.default --tenant my-tenant --query expiresOn",
        ),
        (&cli, "AADSTS50076", "az login --tenant my-tenant --scope"),
        (&detected, "no-identity", "choose by hand"),
        (&by_client, "no-identity", "AZURE_CLIENT_ID alone names a managed identity"),
        (&detected, "az-not-logged-in", "az login"),
    ];
    for (identity, code, piece) in table {
        let advice = advice_for(identity.clone(), Blame::Identity, Kind::Denied, code);
        assert!(advice.contains(piece), "{code}: {advice}");
        assert!(!advice.ends_with('.'), "{advice}");
    }
}

#[test]
fn roles_are_granted_to_whoever_signs_in() {
    let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app";
    for (identity, assignee) in [
        (Identity::Managed(managed(Which::Client("my-client".to_owned()))), "--assignee my-client"),
        (Identity::Managed(managed(Which::Object("my-object".to_owned()))), "--assignee my-object"),
        (
            Identity::Managed(managed(Which::Resource(id.to_owned()))),
            "--assignee \"$(az identity show --ids /subscriptions/s",
        ),
        (Identity::Managed(managed(Which::System)), "--assignee <principal-id>"),
        (Identity::AzureCli(AzureCli { tenant: None }), "--assignee \"$(az ad signed-in-user show"),
    ] {
        let advice = advice_for(identity, Blame::Object, Kind::Denied, "ForbiddenByRbac");
        assert!(advice.contains(assignee), "{advice}");
    }
}

/// Every kind of object has commands, roles and permissions of its own.
#[test]
fn what_a_vault_keeps_is_asked_for_by_its_own_commands() {
    const VERSION: &str = "0123456789abcdef0123456789abcdef";
    let denied = (Blame::Object, Kind::Denied, "ForbiddenByRbac");
    let no_policy = (Blame::Object, Kind::Denied, "AccessDenied");
    let missing = (Blame::Object, Kind::Missing, "SecretNotFound");
    let disabled = (Blame::Object, Kind::Disabled, "SecretDisabled");
    let content = (Blame::Object, Kind::Content, "unusable");
    let (certificate, key) = (Collection::Certificate, Collection::Key);
    let plain = (Blame::Object, Kind::Content, "plain-secret");
    let table: [(What, _, &[&str]); 14] = [
        ((certificate, "web", None), plain, &["write 'secrets/web' instead of 'certificates/web'"]),
        ((certificate, "web", None), denied, &["--role \"Key Vault Certificate User\"", "certificate's secret"]),
        ((key, "sign", None), denied, &["--role \"Key Vault Reader\" --assignee my-client"]),
        ((certificate, "web", None), no_policy, &["--spn my-client --secret-permissions get;", "certificate's secret"]),
        (
            (key, "sign", None),
            no_policy,
            &["az keyvault set-policy --name contoso --spn my-client --key-permissions get"],
        ),
        (
            (certificate, "web", None),
            missing,
            &[
                "az keyvault certificate list --vault-name contoso --query",
                "az keyvault certificate recover --vault-name contoso --name web",
                "az keyvault certificate pending show --vault-name contoso --name web",
            ],
        ),
        (
            (certificate, "web", Some(VERSION)),
            missing,
            &["az keyvault certificate list-versions --vault-name contoso --name web --query \"[].id\" --output tsv"],
        ),
        (
            (key, "sign", None),
            missing,
            &["az keyvault key list --vault-name contoso", "az keyvault key recover --vault-name contoso --name sign"],
        ),
        (
            (key, "sign", Some(VERSION)),
            missing,
            &["az keyvault key list-versions --vault-name contoso --name sign --query \"[].kid\" --output tsv"],
        ),
        (
            (Collection::Secret, "db", Some(VERSION)),
            missing,
            &["az keyvault secret list-versions --vault-name contoso --name db", "az keyvault secret recover"],
        ),
        (
            (certificate, "web", None),
            disabled,
            &["az keyvault certificate set-attributes --vault-name contoso --name web --enabled true"],
        ),
        (
            (key, "sign", Some(VERSION)),
            disabled,
            &["az keyvault key set-attributes --vault-name contoso --name sign --version 0123456789abcdef"],
        ),
        (
            (certificate, "web", None),
            content,
            &["az keyvault certificate show --vault-name contoso --name web --query policy"],
        ),
        ((key, "sign", None), content, &["az keyvault key show --vault-name contoso --name sign --query key.kty"]),
    ];
    for (kept, failure, pieces) in table {
        let advice = advice_on(kept, workload(), failure);
        for piece in pieces {
            assert!(advice.contains(piece), "no {piece:?} in {advice:?}");
        }
        assert!(kept.0 == Collection::Secret || !advice.contains("keyvault secret"), "{advice}");
        assert!(!advice.ends_with('.'), "{advice}");
    }
}

/// What nobody gives tokens for is the reference's scope, or the cloud; and `az` is asked for what keyferry asked for.
#[test]
fn advice_speaks_of_what_the_token_is_for() {
    let name = IdentityName("default".to_owned());
    let workspace = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/ml/providers/\
        Microsoft.MachineLearningServices/workspaces/prod";
    let token = |scope: &str| Object::Token { identity: name.clone(), scope: Scope::parse(scope).unwrap() };
    let connection = Object::Connection {
        identity: name.clone(),
        workspace: Workspace::parse_id(workspace).unwrap(),
        name: ConnectionName::parse("aoai").unwrap(),
    };
    let vault = Object::Vault {
        collection: Collection::Secret,
        identity: name.clone(),
        vault: VaultHost("contoso.vault.usgovcloudapi.net:8443".to_owned()),
        name: ObjectName::parse("db").unwrap(),
        version: None,
    };
    let cli = Identity::AzureCli(AzureCli { tenant: None });
    let advice = |object: &Object, code: &str| {
        let failure = Failure::new(Blame::Identity, Kind::Denied, Code::new(code));
        on(&failure, object, &BTreeMap::from([(name.clone(), cli.clone())]))
    };
    for code in
        ["AADSTS70011", "AADSTS500011", "AADSTS700022", "imds-invalid-resource", "msi-endpoint-invalid-resource"]
    {
        let of_token = advice(&token("api://my-app/.default"), code);
        assert!(of_token.contains("az ad sp show --id api://my-app") && !of_token.contains("vault"), "{of_token}");
        assert!(advice(&vault, code).contains("suffixes.keyvaultDns"));
        let of_connection = advice(&connection, code);
        assert!(of_connection.contains("resourceManager") && !of_connection.contains("vault"), "{of_connection}");
    }
    for (object, asked) in [
        (&token("api://my-app/.default"), "--scope api://my-app/.default"),
        (&vault, "--scope https://vault.usgovcloudapi.net/.default"),
        (&connection, "--resource-type arm"),
    ] {
        assert!(advice(object, "az-failed").contains(&format!("az account get-access-token {asked} --query")));
        assert!(advice(object, "az-timeout").contains(&format!("{asked} --query expiresOn --debug")));
    }
}

/// The code of whatever is advised on, as the sources' patterns have it.
fn codes_with_advice() -> Vec<&'static str> {
    let sources = [
        include_str!("../advice.rs"),
        include_str!("connection.rs"),
        include_str!("kept.rs"),
        include_str!("sign_in.rs"),
    ];
    let patterns = sources.into_iter().flat_map(str::lines).filter_map(|line| {
        let line = line.trim();
        let is_listed = line.starts_with(['"', '|']) && line.ends_with('"');
        line.split_once(" => ")
            .map(|(pattern, _)| pattern)
            .or_else(|| line.strip_suffix(" => {"))
            .or(is_listed.then_some(line))
    });
    let is_code = |word: &&str| {
        word.len() > 2 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !word.starts_with('-')
    };
    patterns.flat_map(|pattern| pattern.split('"').skip(1).step_by(2)).filter(is_code).collect()
}

#[test]
fn the_documentation_knows_every_code_that_has_advice() {
    let documented = include_str!("../../README.md");
    // What services send and nothing particular is advised on.
    let others = "CertificateNotFound KeyNotFound CertificateDisabled KeyDisabled AKV10046 Throttled AADSTS90006 \
        AADSTS90012 AADSTS90024 AADSTS90033 AADSTS90090 NotFoundError AuthorizationFailed InvalidAuthenticationToken \
        ExpiredAuthenticationToken SubscriptionRequestsThrottled ResourceRequestsThrottled no-certificate no-public-key \
        no-challenge timeout cut-off answer-too-long file-missing file-too-long file-unreadable not-a-file unknown \
        unusable bad-answer bad-token-answer ended sdk bad-url";
    let codes = codes_with_advice();
    assert!(
        codes.len() > 80 && codes.contains(&"AADSTS501051") && codes.contains(&"token-proxy-ca-empty"),
        "{codes:?}"
    );
    for code in codes.into_iter().chain(others.split_whitespace()) {
        let mut families = code.match_indices('-').filter_map(|(at, _)| code.get(..=at));
        let is_there = documented.contains(&format!("`{code}`"))
            || families.any(|family| documented.contains(&format!("`{family}…`")));
        assert!(is_there, "{code}");
    }
}

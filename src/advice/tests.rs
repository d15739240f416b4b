use super::*;
use crate::config::Workload;
use crate::failure::Code;
use crate::reference::{Collection, ObjectName, VaultHost};

fn advice(blame: Blame, kind: Kind, code: &str) -> String {
    let identity = IdentityName("default".to_owned());
    let workload =
        Workload { tenant: "my-tenant".to_owned(), client: "my-client".to_owned(), token_file: "/token".into() };
    let object = Object::Vault {
        collection: Collection::Secret,
        identity: identity.clone(),
        vault: VaultHost("contoso.vault.azure.net".to_owned()),
        name: ObjectName::parse("db").unwrap(),
        version: None,
    };
    on(
        &Failure::new(blame, kind, Code::new(code)),
        &object,
        &BTreeMap::from([(identity, Identity::Workload(workload))]),
    )
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

use super::*;

fn custom<'a>(suffix: &'a str, manager: Option<&'a str>, audience: Option<&'a str>) -> Custom<'a> {
    Custom {
        authority: "https://login.localhost:1/",
        vault_suffix: suffix,
        vault_audience: None,
        resource_manager: manager,
        resource_manager_audience: audience,
    }
}

#[test]
fn a_vaults_host_is_one_label_and_the_clouds_suffix() {
    let public = Cloud::public();
    for good in ["contoso.vault.azure.net", "con-toso1.vault.azure.net"] {
        assert_eq!(public.vault_host(good), Ok(VaultHost(good.to_owned())));
    }
    for bad in [
        "vault.azure.net",
        ".vault.azure.net",
        "a.b.vault.azure.net",
        "contoso.vault.azure.net.evil.example",
        "contosovault.azure.net",
        "contoso.vault.azure.net:8443",
        "contoso.vault.azure.cn",
        "contoso.managedhsm.azure.net",
        "ab.vault.azure.net",
        "1ab.vault.azure.net",
        "a--b.vault.azure.net",
        "",
    ] {
        assert!(public.vault_host(bad).is_err(), "{bad}");
    }
}

#[test]
fn only_a_custom_cloud_has_ports() {
    let custom = Cloud::custom(&custom("vault.localhost", None, None)).unwrap();
    assert!(custom.vault_host("demo.vault.localhost:8443").is_ok());
    assert_eq!(custom.authority, "https://login.localhost:1");
    assert_eq!(custom.vault_audience, "https://vault.localhost");
}

#[test]
fn an_authority_belongs_to_its_cloud_by_every_name() {
    for (authority, name) in [
        ("https://login.microsoftonline.com/", "public"),
        ("https://login.windows.net", "public"),
        ("https://login.microsoftonline.us", "usGovernment"),
        ("https://login.partner.microsoftonline.cn/", "china"),
    ] {
        assert_eq!(Cloud::of_authority(authority), Cloud::named(name), "{authority}");
    }
    for foreign in ["https://login.example.org", "http://login.microsoftonline.com", "login.microsoftonline.com", ""] {
        assert_eq!(Cloud::of_authority(foreign), None, "{foreign}");
    }
}

#[test]
fn every_known_cloud_has_a_resource_manager_and_its_audience() {
    for (name, host) in [
        ("public", "https://management.azure.com"),
        ("usGovernment", "https://management.usgovcloudapi.net"),
        ("china", "https://management.chinacloudapi.cn"),
    ] {
        let cloud = Cloud::named(name).unwrap();
        assert_eq!(cloud.resource_manager.as_deref(), Some(host));
        assert_eq!(cloud.resource_manager_audience.as_deref(), Some(host));
    }
}

#[test]
fn the_resource_manager_of_a_custom_cloud_receives_no_foreign_tokens() {
    let made = |manager, audience| Cloud::custom(&custom("vault.localhost", manager, audience));
    let cloud = made(Some("https://Management.localhost:8443/"), None).unwrap();
    assert_eq!(cloud.resource_manager.as_deref(), Some("https://management.localhost:8443"));
    assert_eq!(cloud.resource_manager_audience.as_deref(), Some("https://management.localhost"));
    let cloud = made(Some("https://management.stack.example.org"), Some("https://stack.example.org")).unwrap();
    assert_eq!(cloud.resource_manager_audience.as_deref(), Some("https://stack.example.org"));
    let cloud = made(None, None).unwrap();
    assert_eq!((cloud.resource_manager, cloud.resource_manager_audience), (None, None));
    let evil = Some("https://management.azure.com.evil.example");
    for (manager, audience) in [
        (evil, Some("https://management.azure.com")),
        (evil, Some("https://graph.microsoft.com")),
        (evil, Some("https://example")),
        (evil, Some("https://evil.example/")),
        (Some("https://management.azure.com"), None),
        (Some("https://sub.management.azure.com"), None),
        (Some("https://azure.com"), None),
        (Some("http://management.localhost"), None),
        (Some("management.localhost"), None),
        (Some("https://user:password@management.localhost"), None),
        (Some("https://management.localhost/path"), None),
        (Some("https://"), None),
        (None, Some("https://management.localhost")),
    ] {
        let problems = made(manager, audience).unwrap_err();
        assert_eq!(problems.len(), 1, "{manager:?} {audience:?}: {problems:?}");
        assert!(!format!("{problems:?}").contains("password"), "{problems:?}");
    }
}

#[test]
fn tokens_that_open_vaults_subscriptions_or_the_directory_are_known() {
    use Privileged::{Graph, KeyVault, ResourceManager};
    let public = Cloud::public();
    for (resource, what) in [
        ("https://vault.azure.net", KeyVault),
        ("https://vault.azure.net:8443", KeyVault),
        ("https://vault.azure.net/path", KeyVault),
        ("https://contoso.vault.azure.net", KeyVault),
        ("https://vault.azure.cn", KeyVault),
        ("https://vault.usgovcloudapi.net", KeyVault),
        ("https://managedhsm.azure.net", KeyVault),
        ("cfa8b339-82a2-471a-a3c9-0fc0be7a4093", KeyVault),
        ("CFA8B339-82a2-471a-a3c9-0fc0be7a4093", KeyVault),
        ("api://cfa8b339-82a2-471a-a3c9-0fc0be7a4093", KeyVault),
        ("https://management.azure.com", ResourceManager),
        ("https://management.core.windows.net", ResourceManager),
        ("https://management.usgovcloudapi.net", ResourceManager),
        ("https://management.core.usgovcloudapi.net", ResourceManager),
        ("https://management.chinacloudapi.cn", ResourceManager),
        ("797f4846-ba00-4fd7-ba43-dac1f8f63013", ResourceManager),
        ("https://graph.microsoft.com", Graph),
        ("https://graph.microsoft.us", Graph),
        ("https://dod-graph.microsoft.us", Graph),
        ("https://microsoftgraph.chinacloudapi.cn", Graph),
        ("https://graph.windows.net", Graph),
        ("00000003-0000-0000-c000-000000000000", Graph),
        ("00000002-0000-0000-c000-000000000000", Graph),
    ] {
        assert_eq!(public.privileged(resource), Some(what), "{resource}");
    }
    for resource in [
        "https://cognitiveservices.azure.com",
        "https://ai.azure.com",
        "https://storage.azure.com",
        "https://database.windows.net",
        "https://notvault.azure.net",
        "https://vault.azure.net.contoso.com",
        "https://contoso.com/vault.azure.net",
        "https://vault.localhost",
        "api://contoso-app",
        "11111111-1111-1111-1111-111111111111",
    ] {
        assert_eq!(public.privileged(resource), None, "{resource}");
    }
}

#[test]
fn so_are_those_of_a_cloud_of_ones_own() {
    use Privileged::{KeyVault, ResourceManager};
    let own = Custom {
        vault_audience: Some("https://example.org"),
        ..custom("vault.example.org", Some("https://arm.example.org:8443"), Some("https://mgmt.arm.example.org"))
    };
    assert!(Cloud::custom(&own).is_err(), "an audience is the receiver's name, or one above");
    let own = Custom { resource_manager_audience: Some("https://arm.example.org"), ..own };
    let own = Cloud::custom(&own).unwrap();
    for (resource, what) in [
        ("https://example.org", Some(KeyVault)),
        ("https://vault.example.org", Some(KeyVault)),
        ("https://demo.vault.example.org:1", Some(KeyVault)),
        ("https://arm.example.org", Some(ResourceManager)),
        ("https://arm.example.org:8443", Some(ResourceManager)),
        ("https://app.example.org", None),
        ("https://vault.azure.net", Some(KeyVault)),
    ] {
        assert_eq!(own.privileged(resource), what, "{resource}");
    }
}

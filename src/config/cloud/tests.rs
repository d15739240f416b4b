use super::*;

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
    let custom = Cloud::custom("https://login.localhost:1/", "vault.localhost", None).unwrap();
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

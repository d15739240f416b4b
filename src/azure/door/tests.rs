use super::*;

fn cloud(authority: &str, resource_manager: Option<&str>) -> Cloud {
    Cloud {
        authority: authority.to_owned(),
        vault_suffix: "vault.azure.net".to_owned(),
        vault_audience: "https://vault.azure.net".to_owned(),
        resource_manager: resource_manager.map(str::to_owned),
        resource_manager_audience: resource_manager.map(str::to_owned),
        custom: true,
    }
}

#[test]
fn requests_are_counted_for_the_service_that_they_go_to() {
    let public = || cloud("https://login.microsoftonline.com", Some("https://management.azure.com"));
    let table = [
        (public(), "https://login.microsoftonline.com/t/oauth2/v2.0/token", Service::Entra),
        (public(), "https://login.microsoftonline.com:443/t", Service::Entra),
        (public(), "https://login.microsoftonline.com.vault.azure.net/secrets/x", Service::Vault),
        (public(), "https://management.azure.com/subscriptions/x", Service::ResourceManager),
        (public(), "https://contoso.vault.azure.net/secrets/x", Service::Vault),
        (cloud("https://127.0.0.1:4433", None), "https://127.0.0.1:4433/t", Service::Entra),
        (cloud("https://127.0.0.1:4433", None), "https://127.0.0.1:4434/secrets/x", Service::Vault),
    ];
    for (cloud, url, service) in table {
        assert_eq!(Services::of(&cloud).service(&Url::parse(url).unwrap()), service, "{url}");
    }
}

use super::*;

const APP: &str = "11111111-1111-1111-1111-111111111111";
const CONTOSO: &str = "99999999-9999-9999-9999-999999999999";
const OTHER: &str = "22222222-2222-2222-2222-222222222222";

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn environment(pairs: Pairs<'_>) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const TENANT_AND_CLIENT: [(&str, &str); 2] = [(TENANT, CONTOSO), (CLIENT, APP)];
const APP_SERVICE: [(&str, &str); 4] = [
    (IDENTITY_ENDPOINT, "http://127.0.0.1:41741/msi/token"),
    (IDENTITY_HEADER, "hunter2"),
    (MSI_ENDPOINT, "http://127.0.0.1:41741/msi/token"),
    (MSI_SECRET, "hunter2"),
];
const AZURE_ML: [(&str, &str); 2] = [(MSI_ENDPOINT, "http://10.0.0.4:46808/MSI/auth"), (MSI_SECRET, "hunter2")];

#[test]
fn the_order_is_the_sdks() {
    let secret = (CLIENT_SECRET, "hunter2");
    let certificate = (CERTIFICATE_FILE, "/app.pem");
    let token = (TOKEN_FILE, "/token");
    let everything = [&TENANT_AND_CLIENT[..], &[secret, certificate, token], &APP_SERVICE].concat();
    let table = [
        (everything, "client secret (client 1"),
        ([&TENANT_AND_CLIENT[..], &[certificate, token], &APP_SERVICE].concat(), "client certificate (client 1"),
        ([&TENANT_AND_CLIENT[..], &[token], &APP_SERVICE].concat(), "workload identity (client 1"),
        (APP_SERVICE.to_vec(), "managed identity at App Service (system-assigned)"),
        ([&TENANT_AND_CLIENT[1..], &APP_SERVICE].concat(), "managed identity at App Service (client 1"),
        ([&TENANT_AND_CLIENT[..], &APP_SERVICE].concat(), "managed identity at App Service (client 1"),
        (AZURE_ML.to_vec(), "managed identity at Azure ML (system-assigned)"),
        ([&AZURE_ML[..], &[("DEFAULT_IDENTITY_CLIENT_ID", OTHER)]].concat(), "managed identity at Azure ML (client 2"),
        (
            [&AZURE_ML[..], &[("DEFAULT_IDENTITY_CLIENT_ID", OTHER), (CLIENT, APP)]].concat(),
            "managed identity at Azure ML (client 1",
        ),
        (Vec::new(), "managed identity at IMDS (system-assigned), or else the Azure CLI's login"),
        (vec![(TENANT, CONTOSO)], "managed identity at IMDS (system-assigned), or else"),
        (vec![(CLIENT, APP)], "managed identity at IMDS (client 1"),
        (vec![(CLIENT, ""), (CLIENT_SECRET, "")], "managed identity at IMDS (system-assigned), or else"),
        (vec![(IMDS_HOST, "http://10.0.0.1:8080/")], "managed identity at IMDS (system-assigned), or else"),
    ];
    for (pairs, expected) in table {
        let (identity, because) = detect(&environment(&pairs)).unwrap();
        assert!(identity.to_string().starts_with(expected), "{pairs:?}: {identity}");
        assert!(!because.is_empty());
        assert!(!format!("{identity:?}{because}").contains("hunter2"), "{identity:?}");
    }
}

#[test]
fn a_tenant_alone_is_told_to_be_passed_over() {
    let because = |pairs: Pairs<'_>| detect(&environment(pairs)).unwrap().1;
    assert_eq!(because(&[(TENANT, CONTOSO)]), "the environment names no identity (AZURE_TENANT_ID alone names none)");
    assert_eq!(because(&[]), "the environment names no identity");
}

#[test]
fn what_is_set_by_halves_is_told() {
    let table: [(Pairs<'_>, &[&str]); 15] = [
        (
            &[(CLIENT_SECRET, "hunter2")],
            &["AZURE_CLIENT_ID: it is not set; AZURE_TENANT_ID: it is not set", "clientSecret"],
        ),
        (&[(CLIENT_SECRET, "hunter2"), (TENANT, CONTOSO)], &["AZURE_CLIENT_ID: it is not set. "]),
        (
            &[(CERTIFICATE_FILE, "app.pem"), (TENANT, CONTOSO), (CLIENT, APP)],
            &["AZURE_CLIENT_CERTIFICATE_PATH: expected"],
        ),
        (
            &[(TOKEN_FILE, "/token"), (TENANT, CONTOSO)],
            &["AZURE_CLIENT_ID: it is not set. The workload identity webhook"],
        ),
        (&TENANT_AND_CLIENT, &["AZURE_FEDERATED_TOKEN_FILE: it is not set", "neither", "AZURE_CLIENT_SECRET"]),
        (&[(CLIENT, "hunter2")], &["AZURE_CLIENT_ID: a client id is a GUID"]),
        (&APP_SERVICE[..1], &["IDENTITY_HEADER: it is not set"]),
        (&APP_SERVICE[1..2], &["IDENTITY_ENDPOINT: it is not set"]),
        (&AZURE_ML[..1], &["MSI_SECRET: it is not set", "Cloud Shell", "azureCli"]),
        (&AZURE_ML[1..], &["MSI_ENDPOINT: it is not set"]),
        (&[APP_SERVICE[0], (IMDS_ENDPOINT, "http://localhost:40342")], &["Azure Arc"]),
        (&[APP_SERVICE[0], APP_SERVICE[1], (SERVICE_FABRIC, "ab")], &["Service Fabric"]),
        (&[(IDENTITY_ENDPOINT, "http://8.8.8.8/hunter2"), APP_SERVICE[1]], &["IDENTITY_ENDPOINT: only loopback"]),
        (&[(MSI_ENDPOINT, "https://10.0.0.4/"), AZURE_ML[1]], &["MSI_ENDPOINT: it begins with 'http://'"]),
        (&[(IMDS_HOST, "http://hunter2@10.0.0.1")], &["AZURE_POD_IDENTITY_AUTHORITY_HOST: after"]),
    ];
    for (pairs, pieces) in table {
        let lacking = detect(&environment(pairs)).unwrap_err();
        for piece in pieces {
            assert!(lacking.contains(piece), "{pairs:?}: no {piece:?} in {lacking}");
        }
        assert!(!lacking.contains("hunter2"), "{lacking}");
    }
}

fn proxy(pairs: Pairs<'_>) -> Result<Option<TokenProxy>, String> {
    let environment = environment(&[pairs, &[(TOKEN_FILE, "/token")]].concat());
    token_proxy_of(Path::new("/token"), &environment)
}

#[test]
fn a_token_proxy_is_taken_apart() {
    let full =
        proxy(&[(TOKEN_PROXY, "https://Proxy.example:6443/a/b"), (SERVER_NAME, "Sni.example"), (CA_FILE, "/ca.crt")]);
    let expected = TokenProxy {
        host: "proxy.example".to_owned(),
        port: 6443,
        path: "/a/b".to_owned(),
        server_name: Some("sni.example".to_owned()),
        trust: Trust::File("/ca.crt".into()),
    };
    assert_eq!(full, Ok(Some(expected)));
    let least = proxy(&[(TOKEN_PROXY, "https://10.0.0.1")]).unwrap().unwrap();
    assert_eq!((least.port, least.path.as_str(), least.trust), (443, "/", Trust::System));
    assert_eq!(proxy(&[]), Ok(None));
    // A token of another file is for Entra.
    let environment = environment(&[(TOKEN_FILE, "/token"), (TOKEN_PROXY, "https://proxy.example")]);
    assert_eq!(token_proxy_of(Path::new("/other"), &environment), Ok(None));
}

#[test]
fn a_token_proxy_that_is_wrong_is_told() {
    let url = (TOKEN_PROXY, "https://proxy.example");
    let table: [(Pairs<'_>, &str); 12] = [
        (
            &[(SERVER_NAME, "a.example")],
            "AZURE_KUBERNETES_TOKEN_PROXY: it is not set, but AZURE_KUBERNETES_SNI_NAME is",
        ),
        (&[(CA_DATA, "hunter2")], "it is not set, but AZURE_KUBERNETES_CA_DATA is"),
        (&[(TOKEN_PROXY, "http://proxy.example")], "begins with 'https://'"),
        (&[(TOKEN_PROXY, "https://hunter2@proxy.example")], "without a user"),
        (&[(TOKEN_PROXY, "https://proxy.example/?a=hunter2")], "without a user, query"),
        (&[(TOKEN_PROXY, "https://proxy.example/#hunter2")], "without a user, query, fragment"),
        (&[(TOKEN_PROXY, "https:///a")], "a host's name"),
        (&[url, (CA_FILE, "/ca.crt"), (CA_DATA, "hunter2")], "keep one"),
        (&[url, (CA_FILE, "ca.crt")], "AZURE_KUBERNETES_CA_FILE: expected an absolute path"),
        (&[url, (SERVER_NAME, "a.example:443")], "AZURE_KUBERNETES_SNI_NAME"),
        (&[url, (SERVER_NAME, "8.8.8.8")], "AZURE_KUBERNETES_SNI_NAME"),
        (&[url, (SERVER_NAME, "134744072")], "AZURE_KUBERNETES_SNI_NAME"),
    ];
    for (pairs, piece) in table {
        let wrong = proxy(pairs).unwrap_err();
        assert!(wrong.contains(piece), "{pairs:?}: {wrong}");
        assert!(!wrong.contains("hunter2"), "{wrong}");
    }
}

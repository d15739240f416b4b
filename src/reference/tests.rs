use super::*;
use proptest::prelude::*;

const VERSION: &str = "0123456789abcdef0123456789abcdef";
const SUBSCRIPTION: &str = "33333333-3333-3333-3333-33333333333a";

fn assert_canonical(written: &str, canonical: &str) {
    let reference = Reference::parse(written).unwrap_or_else(|error| panic!("{written}: {error}"));
    assert_eq!(reference.to_string(), canonical, "{written}");
    assert_eq!(Reference::parse(canonical).unwrap(), reference, "{canonical}");
}

#[test]
fn every_spelling_of_a_vaults_object_has_one_canonical_form() {
    const DB: &str = "keyvault:https://contoso.vault.azure.net/secrets/db";
    let pinned = format!("{DB}/{VERSION}");
    let short = "@Microsoft.KeyVault(VaultName=contoso;SecretName=db)";
    let short_pinned = format!("@Microsoft.KeyVault(VaultName=contoso;SecretName=db;SecretVersion={VERSION})");
    let table = [
        (DB, DB),
        ("https://Contoso.Vault.Azure.NET/secrets/DB", DB),
        ("keyvault:https://contoso.vault.azure.net:443/secrets/db", DB),
        ("https://contoso.vault.azure.net/Secrets/db", DB),
        ("${{keyvault:https://contoso.vault.azure.net/secrets/db}}", DB),
        ("${{ keyvault:https://contoso.vault.azure.net/secrets/db }}", DB),
        ("@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/db)", DB),
        ("@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/db/)", DB),
        ("@microsoft.keyvault( secreturi = https://contoso.vault.azure.net/secrets/db )", DB),
        (&format!("https://contoso.vault.azure.net/secrets/db/{}", VERSION.to_uppercase()), &pinned),
        (&format!("${{{{keyvault:https://contoso.vault.azure.net/secrets/db/{VERSION}}}}}"), &pinned),
        (&format!("@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/db/{VERSION})"), &pinned),
        (short, short),
        ("@Microsoft.KeyVault(SecretName=DB; VaultName=Contoso)", short),
        (&short_pinned, &short_pinned),
        (
            "keyvault:https://demo.vault.localhost:8443/secrets/db",
            "keyvault:https://demo.vault.localhost:8443/secrets/db",
        ),
        ("keyvault:main/secrets/db", "keyvault:main/secrets/db"),
        ("${{keyvault:main/secrets/db}}", "keyvault:main/secrets/db"),
        (
            &format!("keyvault:main/secrets/db/{}", VERSION.to_uppercase()),
            &format!("keyvault:main/secrets/db/{VERSION}"),
        ),
        ("keyvault:main/certificates/Web", "keyvault:main/certificates/web"),
        (&format!("keyvault:main/keys/k/{VERSION}"), &format!("keyvault:main/keys/k/{VERSION}")),
        (
            "https://contoso.vault.azure.net/certificates/web",
            "keyvault:https://contoso.vault.azure.net/certificates/web",
        ),
        // Vaults may be called like sites that hold none.
        ("https://portal.vault.azure.net/keys/k", "keyvault:https://portal.vault.azure.net/keys/k"),
        ("https://management.vault.azure.net/keys/k", "keyvault:https://management.vault.azure.net/keys/k"),
        ("https://contoso.vault.azure.net/keys/k", "keyvault:https://contoso.vault.azure.net/keys/k"),
    ];
    for (written, canonical) in table {
        assert_canonical(written, canonical);
    }
}

#[test]
fn every_spelling_of_a_connection_has_one_canonical_form() {
    let whole =
        format!("azureml://subscriptions/{SUBSCRIPTION}/resourceGroups/rg.one_(x)/workspaces/ws/connections/aoai");
    let loud = SUBSCRIPTION.to_uppercase();
    let provider = "providers/Microsoft.MachineLearningServices";
    let table = [
        ("azureml://connections/aoai".to_owned(), "azureml://connections/aoai"),
        ("azureml://Connections/AOAI/Target".to_owned(), "azureml://connections/aoai/target"),
        ("azureml://connections/aoai/credentials/key".to_owned(), "azureml://connections/aoai/credentials/key"),
        ("${{azureml://connections/c/credentials/A_Key}}".to_owned(), "azureml://connections/c/credentials/A_Key"),
        ("${{ azureml://connections/c/metadata/k }}".to_owned(), "azureml://connections/c/metadata/k"),
        ("azureml://connections/c/credentials/my key".to_owned(), "azureml://connections/c/credentials/my%20key"),
        ("azureml://connections/c/credentials/a%2fb%25".to_owned(), "azureml://connections/c/credentials/a%2Fb%25"),
        ("azureml://connections/c/metadata/%C3%BC".to_owned(), "azureml://connections/c/metadata/ü"),
        ("${{azureml://connections/c/metadata/a}}}".to_owned(), "azureml://connections/c/metadata/a%7D"),
        (format!("azureml://subscriptions/{loud}/resourceGroups/RG.one_(X)/workspaces/WS/connections/AOAI"), &whole),
        (
            format!(
                "azureml://Subscriptions/{loud}/resourcegroups/rg.One_(x)/{provider}/Workspaces/ws/connections/aoai"
            ),
            &whole,
        ),
    ];
    for (written, canonical) in table {
        assert_canonical(&written, canonical);
    }
    let Ok(Reference::Connection { member, .. }) = Reference::parse("azureml://connections/c/credentials/a%2fb") else {
        panic!("it is a connection");
    };
    assert_eq!(member, Member::Credential("a/b".to_owned()));
}

#[test]
fn every_spelling_of_a_token_or_file_has_one_canonical_form() {
    let table = [
        ("entra:https://CognitiveServices.Azure.com/.default", "entra:https://cognitiveservices.azure.com/.default"),
        ("entra:https://contoso.onmicrosoft.com/App/.default", "entra:https://contoso.onmicrosoft.com/App/.default"),
        ("entra:api://My-App/v1/.default", "entra:api://My-App/v1/.default"),
        ("entra:33333333-3333-3333-3333-33333333333A/.default", "entra:33333333-3333-3333-3333-33333333333a/.default"),
        ("file:/etc/hostname", "file:/etc/hostname"),
        ("file:///etc/hostname", "file:/etc/hostname"),
        ("file://///etc/hostname", "file:/etc/hostname"),
    ];
    for (written, canonical) in table {
        assert_canonical(written, canonical);
    }
}

fn assert_refused(table: &[(&str, &str)]) {
    for (written, reason) in table {
        let error = Reference::parse(written).unwrap_err();
        assert!(error.contains(reason), "{written}: {error}");
        assert!(!error.ends_with('.') && !error.contains("  "), "{error}");
    }
}

#[test]
fn what_is_nearly_a_vaults_object_is_refused_with_the_right_form() {
    assert_refused(&[
        ("keyvault:", "the vault is missing"),
        ("keyvault:main/secrets/", "the secret's name is missing"),
        ("keyvault:main/secrets", "the secret's name is missing"),
        ("keyvault:main/certificates/", "the certificate's name is missing"),
        ("keyvault:main/secrets/db/", "does not end with '/'"),
        ("https://contoso.vault.azure.net/secrets/db/", "does not end with '/'"),
        ("keyvault:main/db", "after the vault comes '/secrets/<name>', such as 'keyvault:main/secrets/db'"),
        ("keyvault:main", "after the vault comes"),
        ("https://contoso.vault.azure.net", "after the vault comes"),
        ("keyvault:main/secret/db", "it is called 'secrets', not 'secret'"),
        ("https://contoso.vault.azure.net/Certificate/web", "it is called 'certificates'"),
        ("https://contoso.vault.azure.net/key/k", "it is called 'keys'"),
        ("keyvault:contoso.vault.azure.net/secrets/db", "put 'https://' before it"),
        ("keyvault:main/secrets/a/../../evil", "no Key Vault version"),
        ("keyvault:main/secrets/a%2f", "no Key Vault object name"),
        ("keyvault:main/secrets/a_b", "no Key Vault object name"),
        ("keyvault:main/secrets/db/latest", "this has 6 characters; without one it is the latest"),
        ("keyvault:main/secrets/db/0123456789abcdef0123456789abcde", "this has 31 characters"),
        (&format!("keyvault:main/secrets/db/{VERSION}/x"), "more after the version"),
        ("https://contoso.vault.azure.net/secrets/db?api-version=7.4", "begins with '?' or '#'"),
        ("keyvault:main/secrets/db#x", "begins with '?' or '#'"),
        ("keyvault:https://user@contoso.vault.azure.net/secrets/db", "no user"),
        ("keyvault:https://[::1]/secrets/db", "no host name"),
        ("keyvault:https://contoso.vault.azure.net:0/secrets/db", "no valid port"),
        ("keyvault:https://contoso.vault.azure.net:+443/secrets/db", "no valid port"),
        ("keyvault:https:///secrets/db", "no host name"),
        ("keyvault:https:/contoso.vault.azure.net/secrets/db", "with two '/'"),
        ("keyvault:HTTPS://contoso.vault.azure.net/secrets/db", "in lower case"),
        ("keyvault:http://contoso.vault.azure.net/secrets/db", "https only"),
        ("keyvault://main/secrets/db", "after 'keyvault:' comes no '/'"),
        ("keyvault:keyvault:main/secrets/db", "there twice"),
        ("http://contoso.vault.azure.net/secrets/db", "https only"),
        ("https:contoso.vault.azure.net/secrets/db", "two '/'"),
        ("KeyVault:main/secrets/db", "lower case"),
        ("HTTPS://contoso.vault.azure.net/secrets/db", "lower case"),
        (" keyvault:main/secrets/db", "blanks around it"),
        (
            "https://portal.azure.com/#@contoso.com/asset/Microsoft_Azure_KeyVault/Secret/https://c.vault.azure.net/",
            "copy the 'Secret Identifier'",
        ),
        ("https://portal.azure.com/#view/Microsoft_Azure_KeyVault", "copy the 'Secret Identifier'"),
        ("https://ms.portal.azure.com/", "copy the 'Secret Identifier'"),
        ("https://ml.azure.com/connections/c", "azureml://connections/<connection>"),
        ("https://cognitiveservices.azure.com/.default", "'entra:' and its scope"),
        ("contoso/secrets/x", "'keyvault:' is missing"),
        ("contoso.vault.azure.net/secrets/x", "'https://' is missing"),
        ("kv:main/secrets/x", "write 'keyvault:https://"),
    ]);
}

#[test]
fn what_is_nearly_wrapped_is_refused_with_the_right_form() {
    assert_refused(&[
        ("${{keyvault:main/secrets/db}", "ends with '}}'"),
        ("${{keyvault:main/secrets/db", "ends with '}}'"),
        ("${{keyvault:main/secrets/db}} ", "ends with '}}'"),
        ("{{keyvault:main/secrets/db}}", "begins with '$'"),
        ("${keyvault:main/secrets/db}", "two of them"),
        ("${{file:/etc/hostname}}", "others without the braces"),
        ("${{hunter2}}", "write '${{keyvault:https://…}}'"),
        ("@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/db", "one pair of brackets"),
        ("@Microsoft.KeyVault", "one pair of brackets"),
        ("Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/db)", "write '@Microsoft.KeyVault("),
        ("@Microsoft.KeyVault(https://contoso.vault.azure.net/secrets/db)", "a key, '=' and a value"),
        ("@Microsoft.KeyVault(SecretUri=contoso.vault.azure.net/secrets/db)", "begins with 'https://'"),
        (&format!("@Microsoft.KeyVault(SecretUri=https://c.vault.azure.net/secrets/db/{VERSION}/)"), "more after"),
        ("@Microsoft.KeyVault(SecretUri=https://c.vault.azure.net/certificates/web)", "secrets only"),
        ("@Microsoft.KeyVault(VaultName=contoso)", "VaultName and SecretName"),
        ("@Microsoft.KeyVault(VaultName=c;SecretUri=https://c.vault.azure.net/secrets/db)", "SecretUri alone"),
        ("@Microsoft.KeyVault(VaultName=contoso.vault.azure.net;SecretName=db)", "without dots"),
        ("@Microsoft.KeyVault(VaultName=a:1;SecretName=db)", "no vault's name"),
        ("@Microsoft.KeyVault(VaultName=a;VaultName=b;SecretName=db)", "there twice"),
        ("@Microsoft.KeyVault(VaultName=a;SecretName=db;SecretVersion=)", "this has 0 characters"),
        ("@Microsoft.KeyVault(VaultName=a;Secret=db)", "a key that App Service does not know"),
    ]);
}

#[test]
fn what_is_nearly_a_connection_is_refused_with_the_right_form() {
    assert_refused(&[
        ("azureml:connections/c", "exactly two '/'"),
        ("azureml:/connections/c", "exactly two '/'"),
        ("azureml:///connections/c", "exactly two '/'"),
        ("azureml://", "does not end with '/'"),
        ("azureml://connections", "the connection's name is missing"),
        ("azureml://connections/", "does not end with '/'"),
        ("azureml://connection/c", "it is called 'connections'"),
        ("azureml://datastores/d/paths/p", "it is no connection"),
        ("azureml://connections/c/key", "after the connection comes"),
        ("azureml://connections/c/credential/key", "it is called 'credentials'"),
        ("azureml://connections/c/credentials", "'key' for a connection with one key"),
        ("azureml://connections/c/credentials/", "does not end with '/'"),
        ("azureml://connections/c/credentials/keys/A", "'keys/' is left out"),
        ("azureml://connections/c/credentials/a/b", "written '%2F'"),
        ("azureml://connections/c/credentials/100%", "written '%25'"),
        ("azureml://connections/c/credentials/%+1", "written '%25'"),
        ("azureml://connections/c/credentials/%ff", "not UTF-8"),
        ("azureml://connections/c/credentials/key ", "written '%20'"),
        ("azureml://connections/c/metadata", "the name of the metadata is missing"),
        ("azureml://connections/c/target/x", "nothing after 'target'"),
        ("azureml://connections/c?x=y", "'%3F'"),
        ("azureml://connections/../c", "'..' is no connection"),
        ("azureml://connections/a.b", "'a.b' is no connection"),
        ("azureml://subscriptions/my-subscription/resourceGroups/g/workspaces/w/connections/c", "it is a GUID"),
        (
            &format!("azureml://subscriptions/{SUBSCRIPTION}/resourceGroups/../workspaces/w/connections/c"),
            "no resource group",
        ),
        (
            &format!("azureml://subscriptions/{SUBSCRIPTION}/resourceGroups/g/workspaces/./connections/c"),
            "no workspace",
        ),
        (&format!("azureml://subscriptions/{SUBSCRIPTION}/connections/c"), "after 'subscriptions' come"),
        (&format!("azureml://subscriptions/{SUBSCRIPTION}/resourceGroups/g/workspaces/w"), "it is no connection"),
        ("AzureML://connections/c", "in lower case: 'azureml:'"),
        ("/subscriptions/x", "azureml://subscriptions/<id>"),
        ("connections/c", "write 'azureml://connections/<connection>'"),
    ]);
}

#[test]
fn what_is_nearly_a_token_or_file_is_refused_with_the_right_form() {
    assert_refused(&[
        ("entra:", "the scope is missing"),
        ("entra://cognitiveservices.azure.com/.default", "without '//'"),
        ("entra:https://cognitiveservices.azure.com", "write 'https://cognitiveservices.azure.com/.default'"),
        ("entra:https://cognitiveservices.azure.com/", "write 'https://cognitiveservices.azure.com/.default'"),
        ("entra:https://cognitiveservices.azure.com//.default", "write 'https://cognitiveservices.azure.com/.default'"),
        (
            "entra:https://cognitiveservices.azure.com///.default",
            "write 'https://cognitiveservices.azure.com/.default'",
        ),
        ("entra:https://cognitiveservices.azure.com/.default/", "there is a '/' after '.default': write"),
        ("entra:https://cognitiveservices.azure.com.default", "a '/' is missing before '.default': write"),
        ("entra:https://cognitiveservices.azure.com/.Default", "'.default' is in lower case: write"),
        ("entra:https://graph.microsoft.com/User.Read", "write 'https://graph.microsoft.com/.default'"),
        ("entra:https://a.example/.default https://b.example/.default", "several scopes"),
        ("entra:https://a.example/.default,https://b.example/.default", "several scopes"),
        ("entra: https://a.example/.default", "no blanks"),
        ("entra:cognitiveservices.azure.com/.default", "write 'https://cognitiveservices.azure.com/.default'"),
        ("entra:api.contoso.com", "write 'https://api.contoso.com/.default'"),
        ("entra:http://a.example/.default", "begins with 'https://'"),
        ("entra:https://a.example/x/../.default", "no path of a resource"),
        ("entra:https://user:hunter2@a.example/.default", "no host's name"),
        ("entra:api:///.default", "no resource"),
        ("entra:api://a//b/.default", "no path of a resource"),
        ("entra:.default", "no resource"),
        ("entra:/.default", "no resource"),
        ("Entra:https://a.example/.default", "in lower case: 'entra:'"),
        ("api://app/.default", "'entra:' and its scope"),
        ("file:relative", "absolute path"),
        ("file://host/path", "names a host"),
        ("file:/a\0b", "NUL"),
        ("/etc/hostname", "'file:/path'"),
    ]);
}

#[test]
fn a_secret_in_the_place_of_a_reference_is_not_repeated() {
    for text in [
        "hunter2",
        "hunter2/secrets/x",
        "hunter2.vault.azure.net/secrets/x",
        "/hunter2",
        " https://hunter2",
        "{{hunter2}}",
        "${{hunter2}}",
        "${hunter2}",
        "@Microsoft.KeyVault(hunter2)",
        "@Microsoft.KeyVault(hunter2=x)",
        "AccountKey=hunter2/keys/x;EndpointSuffix=core.windows.net",
        "postgres://user:hunter2@host/db",
        "HTTPS://user:hunter2@host/db",
        "https://user:hunter2@host/db",
        "https://user:hunter2/x@host/db",
        "keyvault:https://user:hunter2@contoso.vault.azure.net/secrets/db",
        "keyvault:user:hunter2@contoso/secrets/db",
        "azureml://user:hunter2@connections/c",
        "azureml://connections/user:hunter2@c",
        "azureml://connections/c/credentials/hunter2%",
        "entra:https://user:hunter2@host/.default",
        "entra:https://user:hunter2@host",
        "@Microsoft.KeyVault(VaultName=user:hunter2@c;SecretName=x)",
    ] {
        assert!(!Reference::parse(text).unwrap_err().contains("hunter2"), "{text}");
    }
}

#[test]
fn ids_of_workspaces() {
    let id = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/RG/providers/Microsoft.MachineLearningServices/workspaces/Ws"
    );
    let workspace = Workspace::parse_id(&id).unwrap();
    assert_eq!((workspace.subscription(), workspace.resource_group(), workspace.name()), (SUBSCRIPTION, "rg", "ws"));
    assert_eq!(Workspace::parse_id(&id.to_uppercase()), Ok(workspace.clone()));
    assert_eq!(Workspace::parse_id(&workspace.to_string()), Ok(workspace));
    for bad in ["", "ws", &id[1..], &format!("{id}/"), &format!("{id}/connections/c"), &id.replace("RG", "")] {
        assert!(Workspace::parse_id(bad).is_err(), "{bad}");
    }
}

#[test]
fn letters_of_every_script_keep_a_resource_group_valid() {
    for group in (char::MIN..=char::MAX).filter(|c| c.is_alphanumeric()).map(|c| format!("a{c}")) {
        if let Ok(workspace) = Workspace::new(SUBSCRIPTION, &group, "ws") {
            assert_eq!(Workspace::new(SUBSCRIPTION, workspace.resource_group(), "ws"), Ok(workspace), "{group}");
        }
    }
}

#[test]
fn all_members_of_a_connection_stand_behind_the_resource_manager_and_a_token_behind_its_identity() {
    let identity = IdentityName("default".to_owned());
    let workspace = Workspace::new(SUBSCRIPTION, "rg", "ws").unwrap();
    let name = ConnectionName::parse("aoai").unwrap();
    let object = Object::Connection { identity: identity.clone(), workspace, name };
    assert_eq!(object.gates(), [Gate::Identity(identity.clone()), Gate::Host(Host::ResourceManager)]);
    assert!(matches!(Reference::parse(&object.to_string()), Ok(Reference::Connection { member: Member::Whole, .. })));
    let scope = Scope::parse("https://a.example/.default").unwrap();
    assert_eq!(scope.resource(), "https://a.example");
    let object = Object::Token { identity: identity.clone(), scope };
    assert_eq!(object.gates(), [Gate::Identity(identity)]);
    assert_eq!(Object::File("/a".into()).gates(), []);
}

#[test]
fn names_of_secrets() {
    for good in ["a", "db-password", "_x", "A.b", "0"] {
        assert!(SecretName::parse(good).is_ok(), "{good}");
    }
    for bad in ["", ".", "..", "-x", "a/b", "a b", "ä", "a\0", &"a".repeat(254)] {
        assert!(SecretName::parse(bad).is_err(), "{bad}");
    }
}

fn assert_comes_back(text: &str) -> Result<(), TestCaseError> {
    if let Ok(reference) = Reference::parse(text) {
        prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_canonical_forms_come_back(text in "\\PC{0,80}") {
        assert_comes_back(&text)?;
    }

    #[test]
    fn canonical_forms_come_back(text in "(keyvault:|https://|azureml://|entra:|file:/|)[a-zA-Z0-9:/.%-]{0,60}") {
        assert_comes_back(&text)?;
    }

    #[test]
    fn canonical_forms_of_vaults_come_back(
        text in "(keyvault:|\\$\\{\\{ ?keyvault:|@Microsoft.KeyVault\\(SecretUri=|)(https://[a-z.:0-9]{1,20}|[a-zA-Z][a-z-]{0,5})/\
                 (secrets|Keys|certificates)/[a-zA-Z0-9-]{1,9}(/|/[0-9a-fA-F]{32}|)( ?\\}\\}|\\)|)",
    ) {
        assert_comes_back(&text)?;
    }

    #[test]
    fn canonical_forms_of_connections_come_back(
        text in "(azureml://|\\$\\{\\{azureml://)(subscriptions/[0-9A-F]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/resourceGroups/\
                 [a-zA-Z(.)ßÄİ]{1,5}/workspaces/[a-zA-Z_-]{1,5}/|)connections/[a-zA-Z0-9_-]{1,5}\
                 (/target|/credentials/(\\PC|%[0-9a-f]{2}){1,8}|/metadata/(\\PC|%[0-9A-F]{2}){1,8}|)(\\}\\}|)",
    ) {
        assert_comes_back(&text)?;
    }

    #[test]
    fn canonical_forms_of_tokens_come_back(text in "entra:(https://|api://|)[a-zA-Z0-9.:/_~-]{1,20}/.default") {
        assert_comes_back(&text)?;
    }

    #[test]
    fn any_name_of_a_credential_can_be_written(name in "(\\PC|[\\x00-\\x1f]){1,20}") {
        let written = format!("azureml://connections/c/credentials/{}", names::encoded(&name));
        let member = Reference::parse(&written).map(|reference| match reference {
            Reference::Connection { member, .. } => Some(member),
            _ => None,
        });
        prop_assert_eq!(member, Ok(Some(Member::Credential(name))));
    }

    #[test]
    fn nothing_that_could_leave_a_path_gets_into_a_name(name in "\\PC{1,20}") {
        let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "-_.()".contains(c)) && !text.ends_with('.');
        if let Ok(name) = ObjectName::parse(&name) {
            prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        }
        if let Ok(name) = ConnectionName::parse(&name) {
            prop_assert!(plain(name.as_str()));
        }
        if let Ok(workspace) = Workspace::new(SUBSCRIPTION, &name, "ws") {
            prop_assert!(plain(workspace.resource_group()));
        }
    }
}

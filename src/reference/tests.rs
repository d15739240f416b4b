use super::*;
use proptest::prelude::*;

const VERSION: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn every_spelling_has_one_canonical_form() {
    let table = [
        ("keyvault:https://contoso.vault.azure.net/secrets/db", "keyvault:https://contoso.vault.azure.net/secrets/db"),
        ("https://Contoso.Vault.Azure.NET/secrets/DB", "keyvault:https://contoso.vault.azure.net/secrets/db"),
        (
            "keyvault:https://contoso.vault.azure.net:443/secrets/db",
            "keyvault:https://contoso.vault.azure.net/secrets/db",
        ),
        (
            "keyvault:https://demo.vault.localhost:8443/secrets/db",
            "keyvault:https://demo.vault.localhost:8443/secrets/db",
        ),
        ("keyvault:main/secrets/db", "keyvault:main/secrets/db"),
        (
            "keyvault:main/secrets/db/0123456789ABCDEF0123456789abcdef",
            "keyvault:main/secrets/db/0123456789abcdef0123456789abcdef",
        ),
        ("file:/etc/hostname", "file:/etc/hostname"),
    ];
    for (written, canonical) in table {
        let reference = Reference::parse(written).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(reference.to_string(), canonical);
        assert_eq!(Reference::parse(canonical).unwrap(), reference, "{canonical}");
    }
}

#[test]
fn what_is_nearly_right_is_refused_with_the_right_form() {
    let table = [
        ("keyvault:main/secrets/", "name is missing"),
        ("keyvault:main/secrets/db/", "does not end with '/'"),
        ("keyvault:main/db", "after the vault comes '/secrets/<name>'"),
        ("keyvault:main", "after the vault comes"),
        ("keyvault:contoso.vault.azure.net/secrets/db", "put 'https://' before it"),
        ("keyvault:main/certificates/web", "not supported yet"),
        ("keyvault:main/secrets/a/../../evil", "no Key Vault version"),
        ("keyvault:main/secrets/a%2f", "no Key Vault object name"),
        ("keyvault:main/secrets/a_b", "no Key Vault object name"),
        ("keyvault:main/secrets/db/latest", "no Key Vault version"),
        (&format!("keyvault:main/secrets/db/{VERSION}/x"), "more after the version"),
        ("keyvault:https://user@contoso.vault.azure.net/secrets/db", "no host name"),
        ("keyvault:https://[::1]/secrets/db", "no host name"),
        ("keyvault:https://contoso.vault.azure.net:0/secrets/db", "no valid port"),
        ("keyvault:https://contoso.vault.azure.net:+443/secrets/db", "no valid port"),
        ("keyvault:https:///secrets/db", "no host name"),
        ("http://contoso.vault.azure.net/secrets/db", "https only"),
        ("KeyVault:main/secrets/db", "lower case"),
        ("file:relative", "absolute path"),
        ("file:/a\0b", "NUL"),
    ];
    for (written, reason) in table {
        let error = Reference::parse(written).unwrap_err();
        assert!(error.contains(reason), "{written}: {error}");
    }
}

#[test]
fn a_secret_in_the_place_of_a_reference_is_not_repeated() {
    assert!(!Reference::parse("hunter2").unwrap_err().contains("hunter2"));
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

proptest! {
    #[test]
    fn parsing_never_panics_and_canonical_forms_come_back(text in "(keyvault:|https://|file:/|)[a-zA-Z0-9:/.%-]{0,60}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference);
        }
    }

    #[test]
    fn nothing_that_could_leave_a_path_gets_into_a_name(name in "\\PC{1,20}") {
        if let Ok(name) = ObjectName::parse(&name) {
            prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        }
    }
}

use super::*;

#[test]
fn what_says_that_it_is_a_reference_is_one() {
    for value in [
        "keyvault:https://contoso.vault.azure.net/secrets/db",
        "keyvault:main/secrets/db",
        "entra:https://cognitiveservices.azure.com/.default",
        "@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/db)",
        "@Microsoft.KeyVault(VaultName=contoso;SecretName=db)",
        "azureml://connections/aoai/credentials/key",
        "azureml://subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/g/workspaces/w/connections/c",
        // Azure ML's five documented patterns.
        "${{azureml://connections/aoai}}",
        "${{azureml://connections/aoai/credentials/key}}",
        "${{azureml://connections/aoai/metadata/OPENAI_API_VERSION}}",
        "${{azureml://connections/aoai/target}}",
        "${{keyvault:https://mykv.vault.azure.net/secrets/db-pass/0123456789abcdef0123456789abcdef}}",
    ] {
        assert!(matches!(Reference::marked(value), Some(Ok(_))), "{value}");
    }
}

#[test]
fn what_nearly_is_one_is_an_error() {
    for value in [
        "keyvault:contoso",
        "KeyVault:main/secrets/db",
        "entra:cognitiveservices",
        "${{keyvault:main/secrets/db}",
        "${{ secrets.TOKEN }}",
        "@microsoft.keyvault()",
        "azureml://connections/aoai/credential/key",
    ] {
        assert!(matches!(Reference::marked(value), Some(Err(_))), "{value}");
    }
}

#[test]
fn everything_else_is_left_alone() {
    for value in [
        "",
        "https://contoso.vault.azure.net/secrets/db",
        "file:/etc/hostname",
        "a keyvault:main/secrets/db",
        "see \"keyvault:main/secrets/db\"",
        "{\"url\": \"keyvault:main/secrets/db\"}",
        "{\"keyvault:main/secrets/db\": 1}",
        "[\"keyvault:main/secrets/db\"]",
        " keyvault: the product, in words ",
        "\nkeyvault:\n  url: x\n",
        "{keyvault: {url: x}}",
        "'keyvault:a' 'keyvault:b'",
        "\"https://contoso.vault.azure.net/secrets/db\"",
        "{{ secrets.keyvault }}",
        "{{ \"keyvault:main/secrets/db\" | upper }}",
        "${keyvault}",
        "$(keyvault)",
        // Others' own: Confluent's configuration providers, Spring's placeholders with a default.
        "${keyVault:test-secret}",
        "${keyVault:test-secret:password}",
        "${entra:false}",
        "{{keyvault:db}}",
        "'{entra:tenant}'",
        "azureml:connections:1",
        "azureml:connection",
        "azureml:model:1",
        "azureml://datastores/workspaceblobstore/paths/x",
        "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/p",
        "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/connections/p",
        "azureml://jobs/connections/outputs",
        "${HOME}",
        "entraid",
    ] {
        assert_eq!(Reference::marked(value), None, "{value}");
    }
}

#[test]
fn what_stands_in_something_is_answered_with_what_to_write() {
    const DB: &str = "keyvault:https://contoso.vault.azure.net/secrets/db";
    const KEY: &str = "azureml://connections/aoai/credentials/key";
    const APP: &str = "@Microsoft.KeyVault(VaultName=contoso;SecretName=db)";
    for (value, why, write) in [
        (format!(" {DB}"), "blanks", DB),
        (format!("{DB}\n"), "blanks", DB),
        (format!("\"{DB}\""), "quotes", DB),
        (format!("'{DB}'"), "quotes", DB),
        (format!("\u{201c}{DB}\u{201d}"), "quotes", DB),
        (format!("\"{DB}"), "quotes", DB),
        (format!(" \"{DB}\""), "blanks and quotes", DB),
        (format!("${{{DB}}}"), "braces", DB),
        (format!("$({DB})"), "braces", DB),
        (format!("{{{{{DB}}}}}"), "braces", DB),
        (format!("'{{{{ {DB} }}}}'"), "quotes, braces and blanks", DB),
        (format!("\"${{{{{DB}}}}}\""), "quotes", DB),
        (format!("${{{{{DB}}}}} "), "blanks", DB),
        (format!("\"{APP}\""), "quotes", APP),
        (format!("'{KEY}'"), "quotes", KEY),
        ("azureml:connections/aoai/credentials/key".to_owned(), "'azureml://connections/'", KEY),
        ("AzureML:/connections/aoai/credentials/key".to_owned(), "'azureml://connections/'", KEY),
        ("azureml://connection/aoai/credentials/key".to_owned(), "'azureml://connections/'", KEY),
        ("\"azureml:connection/aoai/credentials/key\"".to_owned(), "quotes", KEY),
    ] {
        let Some(Err(reason)) = Reference::marked(&value) else { panic!("{value} is nearly one") };
        assert!(reason.contains(why) && reason.ends_with(&format!("write '{write}'")), "{value}: {reason}");
    }
}

#[test]
fn what_stands_in_something_and_is_no_reference_is_not_shown() {
    for (value, scheme) in [
        ("'keyvault:hunter2'", "'keyvault:'"),
        (" KEYVAULT:hunter2", "'keyvault:'"),
        ("\"entra:hunter2\"", "'entra:'"),
        ("\"${{hunter2}}\"", "'${{'"),
        ("'@Microsoft.KeyVault(hunter2)'", "'@Microsoft.KeyVault('"),
        ("azureml:connections/aoai/hunter2", "'azureml://'"),
    ] {
        let Some(Err(reason)) = Reference::marked(value) else { panic!("{value} is nearly one") };
        assert!(reason.contains(scheme) && !reason.contains("hunter2"), "{value}: {reason}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_of_a_value_makes_it_panic(value in "[ \"'{}$()@:/a-zK\u{201c}é]{0,40}") {
        Reference::marked(&value);
        Reference::marked(&format!("\"keyvault:{value}"));
    }
}

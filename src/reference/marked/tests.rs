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
        " keyvault:main/secrets/db",
        "azureml:model:1",
        "azureml://datastores/workspaceblobstore/paths/x",
        "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/p",
        "azureml://jobs/connections/outputs",
        "$(keyvault)",
        "${HOME}",
        "entraid",
    ] {
        assert_eq!(Reference::marked(value), None, "{value}");
    }
}

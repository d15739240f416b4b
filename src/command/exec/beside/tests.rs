use super::*;

fn told(variables: &str, listing: &str, only: &[&str]) -> Option<Given> {
    let secret = |text: &str| SecretValue::new(text.as_bytes().to_vec());
    let only = only.iter().map(|name| (*name).to_owned()).collect();
    given(&secret(variables), &secret(listing), &only)
}

const LISTING: &str = r##"{"generation": 3, "secrets": [
    {"name": "db", "reference": "keyvault:https://a.vault.azure.net/secrets/db", "version": "0a", "generation": 1, "variables": ["DB", "BOTH"]},
    {"name": "other", "reference": "keyvault:https://a.vault.azure.net/secrets/o", "version": "0b", "generation": 1, "variables": []},
    {"name": "token", "reference": "entra:https://cognitiveservices.azure.com/.default", "version": "#1", "variables": ["TOKEN", "BOTH"]}]}"##;

#[test]
fn what_a_token_goes_into_is_known() {
    let given = told(r#"{"DB": "x", "TOKEN": "t", "BOTH": "t:x"}"#, LISTING, &[]).unwrap();
    assert_eq!(given.set.keys().collect::<Vec<_>>(), ["BOTH", "DB", "TOKEN"]);
    assert_eq!(given.of_tokens, ["BOTH", "TOKEN"].map(str::to_owned).into());
    assert_eq!(given.beside_tokens, [("db".to_owned(), "0a".to_owned())].into());
}

#[test]
fn only_what_is_wanted_counts() {
    let given = told(r#"{"DB": "x", "TOKEN": "t", "BOTH": "t:x"}"#, LISTING, &["DB"]).unwrap();
    assert_eq!(given.set.keys().collect::<Vec<_>>(), ["DB"]);
    assert!(given.of_tokens.is_empty() && given.beside_tokens.is_empty());
}

#[test]
fn what_is_not_understood_gives_nothing() {
    for (variables, listing) in [("", LISTING), ("{}", ""), ("[]", LISTING), (r#"{"A": 1}"#, LISTING), ("{}", "{}")] {
        assert!(told(variables, listing, &[]).is_none(), "{variables} {listing}");
    }
}

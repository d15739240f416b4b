use serde_json::json;

use super::*;

fn connection(auth_type: &Value, credentials: &Value) -> SecretValue {
    let json = json!({
        "id": "/subscriptions/s/connections/c", "name": "c",
        "properties": {
            "authType": auth_type, "credentials": credentials, "category": "CustomKeys", "target": "https://x",
            "metadata": {"ApiVersion": "2024-06-01", "none": null, "nested": {"a": [1]}}, "expiryTime": null,
        },
        "systemData": null,
    });
    SecretValue::new(json.to_string().into_bytes())
}

fn get(connection: &SecretValue, wanted: &Member) -> Result<String, Unusable> {
    member(connection, wanted).map(|value| String::from_utf8(value.expose().to_vec()).unwrap())
}

fn credential_of(auth_type: &str, credentials: &Value, name: &str) -> Result<String, Unusable> {
    get(&connection(&auth_type.into(), credentials), &Member::Credential(name.to_owned()))
}

#[test]
fn every_authentication_type_gives_its_credentials() {
    let table = [
        ("ApiKey", json!({"key": "v"}), vec!["key"]),
        ("AccountKey", json!({"key": "v"}), vec!["key"]),
        ("CustomKeys", json!({"keys": {"OPENAI_API_KEY": "v", "a/b": "v"}}), vec!["OPENAI_API_KEY", "a/b"]),
        (
            "UsernamePassword",
            json!({"username": "v", "password": "v", "securityToken": "v"}),
            vec!["username", "password", "securityToken"],
        ),
        ("PAT", json!({"pat": "v"}), vec!["pat"]),
        ("SAS", json!({"sas": "v"}), vec!["sas"]),
        ("AccessKey", json!({"accessKeyId": "v", "secretAccessKey": "v"}), vec!["accessKeyId", "secretAccessKey"]),
        (
            "ServicePrincipal",
            json!({"clientId": "v", "clientSecret": "v", "tenantId": "v"}),
            vec!["clientId", "clientSecret", "tenantId"],
        ),
        ("ManagedIdentity", json!({"clientId": "v", "resourceId": "v"}), vec!["clientId", "resourceId"]),
        (
            "OAuth2",
            json!({"authUrl": "v", "clientId": "v", "clientSecret": "v", "developerToken": "v", "password": "v",
                   "refreshToken": "v", "tenantId": "v", "username": "v"}),
            vec![
                "authUrl",
                "clientId",
                "clientSecret",
                "developerToken",
                "password",
                "refreshToken",
                "tenantId",
                "username",
            ],
        ),
        ("SomethingNew", json!({"brandNew": "v"}), vec!["brandNew"]),
        // By its shape, whatever type and category say: seen with a category of CustomKeys.
        ("ApiKey", json!({"keys": {"named": "v"}}), vec!["named"]),
        ("CustomKeys", json!({"key": "v"}), vec!["key"]),
        ("", json!({"key": "v"}), vec!["key"]),
    ];
    for (auth_type, credentials, names) in table {
        for name in names {
            assert_eq!(credential_of(auth_type, &credentials, name).unwrap(), "v", "{auth_type} {name}");
        }
        let error = credential_of(auth_type, &credentials, "other").unwrap_err();
        assert!(error.to_string().starts_with("the connection has no credential 'other'; "), "{error}");
    }
}

#[test]
fn what_has_no_credentials_says_why() {
    let says = |auth_type, credentials: Value| credential_of(auth_type, &credentials, "key").unwrap_err().to_string();
    assert!(says("AAD", Value::Null).contains("entra:<scope>"));
    assert!(says("ManagedIdentity", Value::Null).contains("entra:<scope>"));
    assert_eq!(says("None", Value::Null), "the connection has no credentials");
    assert_eq!(says("ApiKey", json!({"key": null})), "the connection's credential 'key' is null");
    assert!(says("ApiKey", json!({})).contains("an ApiKey connection can have 'key'"));
    // One that its type can have, but this one has not.
    let unset = credential_of("UsernamePassword", &json!({"username": "ann"}), "password").unwrap_err().to_string();
    assert!(unset.starts_with("the connection has no credential 'password'; a UsernamePassword connection can have "));
    let error = credential_of("CustomKeys", &json!({"keys": {}}), "a\nWARN b").unwrap_err().to_string();
    assert!(error.starts_with("the connection has no credential 'a%0AWARN%20b'; "), "{error}");
    assert!(says("ApiKey", json!({"keys": null})).contains("an ApiKey connection can have 'key'"));
}

#[test]
fn target_metadata_and_the_whole() {
    let connection = connection(&"ApiKey".into(), &json!({"key": "v"}));
    assert_eq!(get(&connection, &Member::Target).unwrap(), "https://x");
    let metadata = |key: &str| get(&connection, &Member::Metadata(key.to_owned()));
    assert_eq!(metadata("ApiVersion").unwrap(), "2024-06-01");
    assert_eq!(metadata("nested").unwrap(), r#"{"a":[1]}"#);
    for (lacking, told) in [("none", "none"), ("apiversion", "apiversion"), ("", ""), ("a\nb/c", "a%0Ab%2Fc")] {
        assert_eq!(metadata(lacking).unwrap_err(), Unusable::NoSuchMetadata(told.to_owned()));
    }
    assert_eq!(get(&connection, &Member::Whole).unwrap().as_bytes(), connection.expose());
}

#[test]
fn every_member_may_be_null_or_missing() {
    for json in ["{}", "[]", "null", "", "{\"properties\":null}", "{\"properties\":[]}", "<html>"] {
        let connection = SecretValue::new(json.as_bytes().to_vec());
        for wanted in [Member::Whole, Member::Target, Member::Metadata("a".into()), Member::Credential("a".into())] {
            assert_eq!(get(&connection, &wanted).unwrap_err(), Unusable::NoConnection, "{json}");
        }
    }
    for json in [r#"{"properties":{}}"#, r#"{"properties":{"metadata":null,"target":null,"credentials":null}}"#] {
        let connection = SecretValue::new(json.as_bytes().to_vec());
        assert_eq!(get(&connection, &Member::Target).unwrap_err(), Unusable::NoTarget);
        assert!(get(&connection, &Member::Metadata("a".into())).is_err());
        assert_eq!(get(&connection, &Member::Credential("a".into())).unwrap_err(), Unusable::NoCredentials);
    }
}

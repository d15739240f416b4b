//! Certificates: their three faces, what is refused, and conversion.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyferry_emulator::{
    CertificateSpec, Conversion, DEFAULT_CLIENT, Fault, Misbehaviour, Operation, Permission, Refusal, Settings, Stored,
};
use serde_json::{Value, json as value};

use crate::client::{API, Rig, code, json, pages};
use crate::material::{Issued, VALID, pfx};

const PEM: &str = "application/x-pem-file";
const PKCS12: &str = "application/x-pkcs12";

fn members(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_certificate_has_three_faces_of_one_version() {
    let rig = Rig::new();
    let issued = Issued::new();
    let version = rig.emulator.put_certificate("demo", issued.as_pem("tls"));
    assert_eq!(version.len(), 32);
    let token = rig.token();
    let get = |path: &str| json(rig.get(&format!("{path}?{API}"), &token));
    let of = |collection: &str| rig.url(&format!("/{collection}/tls/{version}"));

    let secret = get("/secrets/tls");
    assert_eq!(members(&secret), ["value", "contentType", "id", "managed", "attributes", "kid"]);
    assert_eq!((&secret["value"], &secret["contentType"]), (&issued.pem.as_str().into(), &PEM.into()));
    assert_eq!((&secret["id"], &secret["kid"]), (&of("secrets").into(), &of("keys").into()));
    assert_eq!(secret["managed"], true);

    let certificate = get("/certificates/tls");
    let expected = ["id", "kid", "sid", "x5t", "cer", "attributes", "policy", "pending"];
    assert_eq!(members(&certificate), expected);
    assert_eq!(certificate["id"], of("certificates"));
    assert_eq!((&certificate["kid"], &certificate["sid"]), (&of("keys").into(), &of("secrets").into()));
    assert_eq!(certificate["cer"], STANDARD.encode(&issued.leaf_der));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &issued.leaf_der);
    assert_eq!(certificate["x5t"], URL_SAFE_NO_PAD.encode(digest));
    assert_eq!(certificate["policy"]["secret_props"]["contentType"], PEM);
    assert_eq!(members(&get(&format!("/certificates/tls/{version}"))), expected[..6]);

    let key = get(&format!("/keys/tls/{version}"));
    assert_eq!((&key["key"]["kid"], &key["key"]["crv"]), (&of("keys").into(), &"P-256".into()));
    assert_eq!(key["managed"], true);
    assert!(key["attributes"].get("exportable").is_none());

    for face in [&secret, &certificate, &key] {
        let attributes = &face["attributes"];
        assert_eq!((&attributes["nbf"], &attributes["exp"]), (&VALID.0.into(), &VALID.1.into()));
        assert_eq!(attributes["recoverableDays"], 7);
    }
}

#[test]
fn rotation_is_another_version_of_all_three() {
    let rig = Rig::new();
    let (one, two) = (Issued::new(), Issued::with(&rcgen::PKCS_ECDSA_P384_SHA384));
    let first = rig.emulator.put_certificate("demo", one.as_pfx("tls"));
    let second = rig.emulator.put_certificate("demo", two.as_pem("TLS"));
    let token = rig.token();
    let get = |path: &str| json(rig.get(&format!("{path}?{API}"), &token));
    assert_eq!(get("/secrets/tls")["value"], two.pem);
    let old = get(&format!("/secrets/tls/{first}"));
    assert_eq!((&old["value"], &old["contentType"]), (&pfx().into(), &PKCS12.into()));
    assert_eq!(get("/certificates/tls")["cer"], STANDARD.encode(&two.leaf_der));
    assert_eq!(get(&format!("/certificates/tls/{first}"))["cer"], STANDARD.encode(&one.leaf_der));
    assert_eq!(get("/keys/tls")["key"]["crv"], "P-384");
    let mut versions = [first, second];
    versions.sort();
    for (collection, id) in [("secrets", "id"), ("certificates", "id"), ("keys", "kid")] {
        let items = pages(&rig, &format!("/{collection}/tls/versions?{API}")).concat();
        let ids: Vec<&str> = items.iter().map(|item| item[id].as_str().unwrap().rsplit_once('/').unwrap().1).collect();
        assert_eq!(ids, versions, "{collection}");
    }
}

#[test]
fn a_list_of_certificates_has_pages_of_25_and_their_secrets_say_what_they_are() {
    let rig = Rig::new();
    let issued = Issued::new();
    for number in 0..30 {
        rig.emulator.put_certificate("demo", issued.as_pfx(&format!("c{number:02}")));
    }
    let pages_of = |collection: &str| pages(&rig, &format!("/{collection}?{API}"));
    let certificates = pages_of("certificates");
    assert_eq!(certificates.iter().map(Vec::len).collect::<Vec<_>>(), [25, 5]);
    let first = &certificates[0][0];
    assert_eq!(members(first), ["id", "x5t", "attributes", "subject"]);
    assert_eq!(first["id"], rig.url("/certificates/c00"));
    assert_eq!(members(&first["attributes"]), ["enabled", "nbf", "exp", "created", "updated"]);
    let secret = &pages_of("secrets")[1][4];
    assert_eq!(members(secret), ["contentType", "id", "managed", "attributes"]);
    assert_eq!((&secret["contentType"], &secret["managed"]), (&PKCS12.into(), &true.into()));
    assert_eq!(pages(&rig, &format!("/certificates/none/versions?{API}")), [Vec::<Value>::new()]);
    let link = json(rig.get(&format!("/certificates?{API}&maxresults=1"), &rig.token()))["nextLink"].clone();
    assert!(link.as_str().unwrap().contains("/certificates?api-version=7.6&$skiptoken="), "{link}");
}

#[test]
fn a_certificate_that_is_not_exportable_is_read_all_the_same() {
    let rig = Rig::new();
    let issued = Issued::with(&rcgen::PKCS_RSA_SHA256);
    let spec = CertificateSpec {
        exportable: false,
        leaf_der: issued.leaf_der.clone(),
        ..CertificateSpec::new("tls", Stored::Pfx { base64: pfx(), pem: None })
    };
    rig.emulator.put_certificate("demo", spec);
    let token = rig.token();
    let secret = json(rig.get(&format!("/secrets/tls?{API}"), &token));
    assert_eq!((&secret["value"], &secret["contentType"]), (&pfx().into(), &PKCS12.into()));
    let policy = json(rig.get(&format!("/certificates/tls?{API}"), &token))["policy"]["key_props"].clone();
    assert_eq!(policy, value!({"exportable": false, "kty": "RSA", "key_size": 2048, "reuse_key": false}));
}

#[test]
fn disabled_and_in_creation_are_told_apart() {
    let rig = Rig::new();
    let issued = Issued::new();
    let begun = CertificateSpec { in_creation: true, ..issued.as_pem("new") };
    let version = rig.emulator.put_certificate("demo", begun);
    let token = rig.token();
    let path = |collection: &str| format!("/{collection}/new?{API}");
    let certificate = json(rig.get(&path("certificates"), &token));
    assert_eq!(members(&certificate), ["id", "attributes", "policy", "pending"]);
    assert_eq!(certificate["attributes"]["enabled"], false);
    assert_eq!(code(rig.get(&path("secrets"), &token)).1, "SecretNotFound");
    for (query, count) in [("", 0), ("&includePending=true", 1)] {
        assert_eq!(pages(&rig, &format!("/certificates?{API}{query}")).concat().len(), count);
    }
    assert!(rig.emulator.update_certificate("demo", "new", None, |certificate| certificate.in_creation = false));
    assert_eq!(json(rig.get(&path("secrets"), &token))["id"], rig.url(&format!("/secrets/new/{version}")));
    assert!(rig.emulator.update_certificate("demo", "new", None, |certificate| certificate.enabled = false));
    for (collection, inner) in
        [("secrets", "SecretDisabled"), ("certificates", "CertificateDisabled"), ("keys", "KeyDisabled")]
    {
        let disabled = (403, "Forbidden".to_owned(), Value::from(inner));
        assert_eq!(code(rig.get(&path(collection), &token)), disabled);
    }
    assert!(rig.emulator.delete_certificate("demo", "new"));
    for (collection, code_of) in
        [("secrets", "SecretNotFound"), ("certificates", "CertificateNotFound"), ("keys", "KeyNotFound")]
    {
        assert_eq!(code(rig.get(&path(collection), &token)), (404, code_of.to_owned(), Value::Null));
    }
    let message = json(rig.get(&format!("/certificates/new/0f?{API}"), &token))["error"]["message"].clone();
    assert!(message.as_str().unwrap().starts_with("A certificate with (name/id) new/0f was not found"), "{message}");
    assert!(message.as_str().unwrap().contains("deleted this certificate you may"), "{message}");
}

#[test]
fn each_collection_has_permissions_of_its_own() {
    let rig = Rig::new();
    rig.emulator.put_certificate("demo", Issued::new().as_pem("tls"));
    let token = rig.token();
    let status = |path: &str| rig.get(&format!("{path}?{API}"), &token).status().as_u16();
    let deny = |permission, refusal| rig.emulator.deny(DEFAULT_CLIENT, "demo", permission, None, refusal);
    deny(Permission::GetCertificate, Refusal::ForbiddenByRbac);
    deny(Permission::ListKeys, Refusal::AccessDenied);
    let asked = ["/secrets/tls", "/certificates/tls", "/keys/tls", "/secrets", "/certificates", "/keys"];
    assert_eq!(asked.map(status), [200, 403, 200, 200, 200, 403]);
    let message = |path: &str| {
        let body = json(rig.get(&format!("{path}?{API}"), &token));
        body["error"]["message"].as_str().unwrap().to_owned()
    };
    let rbac = message("/certificates/tls");
    assert!(rbac.contains("Action: 'Microsoft.KeyVault/vaults/certificates/read'\r\n"), "{rbac}");
    assert!(rbac.contains("/vaults/demo/certificates/tls'\r\n"), "{rbac}");
    assert!(message("/keys").contains(" does not have keys list permission on key vault 'demo;"));
    deny(Permission::Get, Refusal::ForbiddenByRbac);
    deny(Permission::GetKey, Refusal::ForbiddenByRbac);
    assert!(message("/secrets/tls").contains("'Microsoft.KeyVault/vaults/secrets/getSecret/action'"));
    assert!(message("/keys/tls").contains("'Microsoft.KeyVault/vaults/keys/read'"));
}

#[test]
fn a_fault_of_a_certificate_spares_its_secret() {
    let rig = Rig::new();
    rig.emulator.put_certificate("demo", Issued::new().as_pem("tls"));
    let token = rig.token();
    let status = |path: &str| rig.get(&format!("{path}?{API}"), &token).status().as_u16();
    let failing = || Fault::vault(Misbehaviour::Status { status: 503 });
    rig.emulator.fault(failing().of_certificate("tls").of_operation(Operation::Get));
    rig.emulator.fault(failing().of_key("tls").of_operation(Operation::ListVersions));
    let asked = ["/secrets/tls", "/certificates/tls", "/certificates/tls/versions", "/keys/tls", "/keys/tls/versions"];
    assert_eq!(asked.map(status), [200, 503, 200, 200, 503]);
}

#[test]
fn a_pfx_becomes_pem_where_that_is_done() {
    let asked = |conversion, api: &str, out: &str| {
        let rig = Rig::with(Settings { conversion, ..Settings::default() });
        let issued = Issued::new();
        rig.emulator.put_certificate("demo", issued.as_pfx("tls"));
        rig.emulator.put_certificate("demo", issued.as_pem("pem"));
        rig.emulator.put_secret("demo", "text", "v");
        let unknown = CertificateSpec {
            leaf_der: issued.leaf_der.clone(),
            ..CertificateSpec::new("untold", Stored::Pfx { base64: pfx(), pem: None })
        };
        rig.emulator.put_certificate("demo", unknown);
        let token = rig.token();
        ["tls", "pem", "text", "untold"].map(|name| {
            let answer = rig.get(&format!("/secrets/{name}?api-version={api}&outContentType={out}"), &token);
            let status = answer.status().as_u16();
            let body = json(answer);
            let told = if status == 200 { &body["contentType"] } else { &body["error"]["message"] };
            (status, told.as_str().unwrap_or_default().to_owned())
        })
    };
    let ok = |content_type: &str| (200, content_type.to_owned());
    let refused = |from: &str, to: &str| {
        let why = "transformation is not supported. Only PFX to PEM transformation is supported.";
        (400, format!("The '{from}' to '{to}' {why}"))
    };
    let untouched = [ok(PKCS12), ok(PEM), ok(""), ok(PKCS12)];
    let failed = || (500, "The service cannot process the request now.".to_owned());
    assert_eq!(
        asked(Conversion::Done, "2025-07-01", PEM),
        [ok(PEM), refused("PEM", "PEM"), refused("Unsupported", "PEM"), failed()]
    );
    assert_eq!(asked(Conversion::Done, "2026-04-01", PKCS12)[..2], [refused("PFX", "PFX"), refused("PEM", "PFX")]);
    assert_eq!(asked(Conversion::Done, "7.6", PEM), untouched);
    assert_eq!(asked(Conversion::Ignored, "2025-07-01", PEM), untouched);
    assert_eq!(asked(Conversion::VersionUnknown, "7.6", PEM), untouched);
    let unknown =
        "The specified version (2025-07-01) is not recognized. Consider using the latest supported version (7.6).";
    assert_eq!(asked(Conversion::VersionUnknown, "2025-07-01", PEM)[0], (400, unknown.to_owned()));
}

#[test]
fn a_converted_secret_is_the_same_but_for_value_and_type() {
    let rig = Rig::new();
    let issued = Issued::new();
    rig.emulator.put_certificate("demo", issued.as_pfx("tls"));
    let token = rig.token();
    let plain = json(rig.get("/secrets/tls?api-version=2025-07-01", &token));
    let converted = json(rig.get("/secrets/tls?api-version=2025-07-01&outContentType=application/x-pem-file", &token));
    assert_eq!(converted["value"], issued.pem);
    let mut expected = plain;
    expected["value"] = issued.pem.into();
    expected["contentType"] = PEM.into();
    assert_eq!(converted, expected);
}

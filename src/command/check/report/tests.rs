use super::*;

fn report() -> Report {
    let costs = [("Entra", 1, 24), ("a.vault.azure.net", 96, 96)];
    let mut report = Report::new(costs.map(|(of, fewest, most)| Daily { of: of.to_owned(), fewest, most }).into());
    report.add(Checked::new(What::Identity, "default", "workload identity, because it says so"));
    let mut secret = Checked::new(What::Secret, "web", "keyvault:a/certificates/web");
    secret.version = Some("0123456789abcdef0123456789abcdef".to_owned());
    secret.expires = Some("2027-01-01T00:00:00Z".to_owned());
    report.add(secret);
    report.add(Checked::new(What::Secret, "licence", "keyvault:a/secrets/licence").but_absent());
    let denied = Err((Exit::Denied, "denied (ForbiddenByRbac); grant it".to_owned()));
    report.add(Checked::new(What::Secret, "db", "keyvault:a/secrets/db").which(denied));
    report.add(Checked::new(What::Hook, "SIGHUP to nginx", "").warns("there is no process 'nginx'".to_owned()));
    report
}

#[test]
fn people_read_a_table_what_is_wrong_and_what_it_costs() {
    let expected = "\
WHAT       NAME              RESULT                           ABOUT
identity   default           ok                               workload identity, because it says so
secret     web               ok, until 2027-01-01T00:00:00Z   keyvault:a/certificates/web
secret     licence           absent                           keyvault:a/secrets/licence
secret     db                failed                           keyvault:a/secrets/db
hook       SIGHUP to nginx   warning

secret db: denied (ForbiddenByRbac); grant it

hook SIGHUP to nginx: there is no process 'nginx'

Requests on a day without changes:
  Entra: about 1 to 24
  a.vault.azure.net: about 96
";
    assert_eq!(report().table(), expected);
}

#[test]
fn programs_read_the_same() {
    let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
    assert_eq!(
        json["checks"][1],
        serde_json::json!({
            "what": "secret",
            "name": "web",
            "about": "keyvault:a/certificates/web",
            "result": "ok",
            "version": "0123456789abcdef0123456789abcdef",
            "expires": "2027-01-01T00:00:00Z",
        })
    );
    assert_eq!(json["checks"][3]["problem"], "denied (ForbiddenByRbac); grant it");
    assert_eq!(json["requestsPerDay"][0], serde_json::json!({"of": "Entra", "fewest": 1, "most": 24}));
    assert_eq!(report().failed().count(), 1);
}

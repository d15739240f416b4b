use super::*;

fn report() -> Report {
    let costs = [("a.vault.azure.net", 96, 96), ("tokens", 1, 32)];
    let mut report = Report::new(costs.map(|(of, fewest, most)| Daily { of: of.to_owned(), fewest, most }).into());
    report.add(Checked::new(What::Identity, "default", "workload identity, because it says so"));
    let mut secret = Checked::new(What::Secret, "web", "keyvault:a/certificates/web");
    secret.version = Some("0123456789abcdef0123456789abcdef".to_owned());
    secret.expires = Some("2027-01-01T00:00:00Z".to_owned());
    report.add(secret);
    report.add(Checked::new(What::Secret, "licence", "keyvault:a/secrets/licence").but_absent());
    for name in ["db", "user"] {
        let told = "denied (ForbiddenByRbac); grant it".to_owned();
        let denied = Trouble { code: Some("ForbiddenByRbac".to_owned()), ..Trouble::new(Exit::Denied, told) };
        report.add(Checked::new(What::Secret, name, format!("keyvault:a/secrets/{name}")).which(Err(denied)));
    }
    report.add(Checked::new(What::Hook, "SIGHUP to nginx", "").warns("there is no process 'nginx'"));
    report.add(Checked::new(What::Hook, "POST http://localhost/", "").but_untried("not called"));
    report
}

#[test]
fn people_read_a_table_what_is_wrong_and_what_it_costs() {
    let expected = "\
WHAT       NAME                     RESULT                           VERSION    ABOUT
identity   default                  ok                                          workload identity, because it says so
secret     web                      ok, until 2027-01-01T00:00:00Z   01234567   keyvault:a/certificates/web
secret     licence                  absent                                      keyvault:a/secrets/licence
secret     db                       failed                                      keyvault:a/secrets/db
secret     user                     failed                                      keyvault:a/secrets/user
hook       SIGHUP to nginx          warning
hook       POST http://localhost/   notTried                                    not called

secret db, user: denied (ForbiddenByRbac); grant it

hook SIGHUP to nginx: there is no process 'nginx'

Requests on a day without changes:
  a.vault.azure.net: about 96
  tokens: about 1 to 32
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
    assert_eq!(
        json["checks"][3],
        serde_json::json!({
            "what": "secret",
            "name": "db",
            "about": "keyvault:a/secrets/db",
            "result": "failed",
            "code": "ForbiddenByRbac",
            "problem": "denied (ForbiddenByRbac); grant it",
        })
    );
    assert_eq!(json["requestsPerDay"][1], serde_json::json!({"of": "tokens", "fewest": 1, "most": 32}));
    assert_eq!(report().failed().count(), 2);
}

#[test]
fn a_warning_makes_no_failure_less() {
    let failed = Checked::new(What::Configuration, "file", "").which(Err(Trouble::new(Exit::Config, "a".to_owned())));
    let both = failed.warns("b");
    assert_eq!((both.result, both.problem.as_deref(), both.exit), ("failed", Some("a; b"), Some(Exit::Config)));
}

#[test]
fn the_readme_knows_every_word_that_programs_read() {
    let readme = include_str!("../../../../README.md");
    let (_, section) = readme.split_once("* `-o json` is one object:").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let kinds = [
        What::Configuration,
        What::Identity,
        What::Secret,
        What::Standby,
        What::Scope,
        What::File,
        What::Variables,
        What::Directory,
        What::Endpoint,
        What::Hook,
    ];
    let kinds = kinds.map(|what| Checked::new(what, "", "").kind());
    let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
    let checks = json["checks"].as_array().unwrap();
    let keys = checks.iter().flat_map(|check| check.as_object().unwrap().keys().map(String::as_str));
    let results = checks.iter().map(|check| check["result"].as_str().unwrap());
    let costs = json["requestsPerDay"][0].as_object().unwrap().keys().map(String::as_str);
    for word in kinds.into_iter().chain(keys).chain(results).chain(costs).chain(["checks", "requestsPerDay"]) {
        assert!(section.contains(&format!("`{word}`")), "{word}");
    }
}

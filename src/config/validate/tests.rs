use proptest::prelude::*;

use super::*;

/// Every key that there is, with a value for each.
const FULL: &str = r#"
identity: {workload: {clientId: 11111111-1111-1111-1111-111111111111, tenantId: contoso.onmicrosoft.com, tokenFile: /token}}
vaults:
  main: {url: "https://demo.vault.example.org", identity: {workload: {clientId: 22222222-2222-2222-2222-222222222222, tenantId: other.example.org, tokenFile: /other}}}
  c: {url: "https://ccc.vault.example.org", identity: {managed: {clientId: 22222222-2222-2222-2222-222222222222}}}
  o: {url: "https://ooo.vault.example.org", identity: {managed: {objectId: 22222222-2222-2222-2222-222222222222}}}
  r: {url: "https://rrr.vault.example.org", identity: {managed: {resourceId: /subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/a}}}
  s: {url: "https://sss.vault.example.org", identity: {clientSecret: {tenantId: a.example.org, clientId: 22222222-2222-2222-2222-222222222222, secretFile: /s}}}
  p: {url: "https://ppp.vault.example.org", identity: {clientCertificate: {tenantId: a.example.org, clientId: 22222222-2222-2222-2222-222222222222, certificateFile: /p}}}
  z: {url: "https://zzz.vault.example.org", identity: {azureCli: {tenantId: a.example.org}}}
cloud: {authorityHost: "https://login.example.org", vaultSuffix: vault.example.org, vaultAudience: "https://vault.example.org", resourceManager: "https://management.example.org", resourceManagerAudience: "https://example.org"}
workspace: /subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws
tls: {caFile: /ca.pem}
startup: {timeout: 1m}
secrets:
  a: keyvault:main/secrets/a
  b: {from: "https://other.vault.example.org/secrets/b", property: p, decode: hex, file: f/b, refresh: 1h, optional: true}
  c: {from: file:/c, file: false}
  d: {from: "azureml://connections/d/credentials/key"}
  web: keyvault:main/certificates/web
env:
  KEY: {secret: a}
  LEAF: {secret: web, part: leaf}
  URL: {template: "x://{{ secrets['a'] }}"}
files:
  - {dir: /run/one, include: [a, b], mode: "0440", group: 3000, envFile: app.env}
  - dir: /run/two
templates:
  - {dir: /run/two, destination: app.json, contents: "{{ secrets.a }}", mode: "0400"}
  - {dir: /run/two, destination: app.conf, source: /app.conf.j2}
allowDisk: true
reloadConfig: true
stale: {after: 2d, failReadiness: true}
refresh: {interval: 5m, settle: 1s}
onChange:
  - {secrets: [a, b], signal: {process: nginx, signal: SIGHUP}}
  - {signal: {pidFile: /run/a.pid, signal: USR1}}
  - {http: {url: "http://127.0.0.1:8080/reload"}}
"#;

const CANARY: &str = "hunter2-canary";

fn problems(text: &str) -> Vec<Problem> {
    let environment = BTreeMap::new();
    let settings = Settings {
        name: "test".to_owned(),
        text: text.to_owned(),
        environment: &environment,
        allow_custom_cloud: true,
        read: |_| Ok(String::new()),
    };
    load(&settings).map_or_else(|problems| problems.list, |_| Vec::new())
}

/// Replaces the `which`-th scalar value: what stands after a colon, a comma or a bracket, up to where it ends.
fn with_canary(which: usize) -> Option<String> {
    let mut seen = 0;
    let mut at = 0;
    while let Some(begin) = FULL[at..].find([':', '[', ',']).map(|found| at + found + 1) {
        let rest = &FULL[begin..];
        let value = rest.trim_start_matches(' ');
        let start = begin + (rest.len() - value.len());
        let quoted = value.starts_with('"');
        let length =
            if quoted { value[1..].find('"')? + 2 } else { value.find([',', '}', ']', '\n']).unwrap_or(value.len()) };
        let is_value = length > 0 && !value.starts_with(['{', '[', '\n', '/']) && !value[..length].contains(": ");
        if is_value {
            if seen == which {
                return Some(format!("{}{CANARY}{}", &FULL[..start], &FULL[start + length..]));
            }
            seen += 1;
        }
        at = if quoted { start + length } else { begin };
    }
    None
}

#[test]
fn the_full_configuration_is_valid() {
    assert_eq!(problems(FULL), []);
}

#[test]
fn a_secret_in_the_place_of_any_value_is_never_repeated() {
    let mut refused = 0;
    for text in (0..).map_while(with_canary) {
        for problem in problems(&text) {
            refused += 1;
            // An included name is looked up, and what is not there is not repeated either.
            assert!(!problem.message.contains(CANARY), "{problem:?} in {text}");
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn a_text_that_is_too_long_is_not_read() {
    let problems = problems(&format!("# {}", "x".repeat(1 << 20)));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("1 MiB"), "{problems:?}");
}

fn assert_places_lie_inside(text: &str) -> Result<(), TestCaseError> {
    let found = problems(text);
    // Places are sorted and no problem is told twice; a line more than there are is the end of the text.
    prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", found);
    for Problem { place, .. } in found {
        prop_assert!((1..=text.split('\n').count() + 1).contains(&place.line) && place.column >= 1, "{:?}", place);
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        assert_places_lie_inside(&text)?;
    }

    #[test]
    fn no_yaml_makes_it_panic(text in "([a-z]{1,8}|secrets|files|vaults|from|[:{}\\[\\],&*!|>'\"#\n -]|: |\n  |- |0440|~|true){0,60}") {
        assert_places_lie_inside(&text)?;
    }

    #[test]
    fn no_damage_to_a_good_one_makes_it_panic(at in 0..FULL.len(), length in 0..40usize, with in "[ -~\n]{0,6}") {
        let end = (at + length).min(FULL.len());
        assert_places_lie_inside(&format!("{}{with}{}", &FULL[..at], &FULL[end..]))?;
    }
}

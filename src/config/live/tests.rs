use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::OnRevoked;
use crate::config::tests::config;

const OLD: &str = "vaults: {main: {url: https://contoso.vault.azure.net}}\nsecrets: {a: keyvault:main/secrets/a}\n\
                   files: {dir: /run/x}\n";

#[test]
fn secrets_what_shows_them_and_the_rhythm_change_at_once() {
    let new = OLD.replace("{a: keyvault:main/secrets/a}", "{b: keyvault:main/secrets/b}")
        + "refresh: {interval: 1m, settle: 0s}\nstartup: {timeout: 1m}\n";
    let live = config(OLD).live(config(&new)).unwrap();
    assert_eq!(live.waiting, [""; 0]);
    let names: Vec<String> = live.config.secrets.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["b"]);
    assert_eq!(live.config.files[0].include.iter().map(ToString::to_string).collect::<Vec<_>>(), ["b"]);
    assert_eq!(live.config.refresh.interval, Duration::from_mins(1));
}

#[test]
fn what_is_made_of_secrets_changes_at_once() {
    let new = format!(
        "{OLD}env: {{A: {{secret: a}}}}\ntemplates: [{{dir: /run/x, destination: t, source: /t.j2}}, \
         {{dir: /run/x, destination: u, contents: x}}]\n"
    );
    let live = config(OLD).live(config(&new)).unwrap();
    assert_eq!(live.waiting, [""; 0]);
    assert_eq!(live.config, config(&new));
    assert_eq!(live.config.files[0].rendered.len(), 2);
    assert_eq!(live.config.template_files, BTreeSet::from([PathBuf::from("/t.j2")]));
    // So it does beside what has to wait; the directory's mode is the running one's.
    let live = config(OLD).live(config(&new.replace("{dir: /run/x}", "{dir: /run/x, group: 3000}"))).unwrap();
    assert_eq!(live.waiting, ["files"]);
    assert_eq!(live.config.files[0].rendered[&PathBuf::from("t")].mode, 0o400);
}

#[test]
fn everything_else_waits_and_is_named() {
    let guid = "33333333-3333-3333-3333-333333333333";
    let cases = [
        ("identity: {managed: {}}".to_owned(), "identity"),
        (
            format!(
                "workspace: /subscriptions/{guid}/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
            ),
            "workspace",
        ),
        ("tls: {caFile: /ca.pem}".to_owned(), "tls"),
        ("allowDisk: true".to_owned(), "allowDisk"),
        ("onChange: [{http: {url: \"http://127.0.0.1:1/\"}}]".to_owned(), "onChange"),
        ("onRevoked: remove".to_owned(), "onRevoked"),
        ("reloadConfig: true".to_owned(), "reloadConfig"),
    ];
    for (line, key) in cases {
        let live = config(OLD).live(config(&format!("{OLD}{line}\n"))).unwrap();
        assert_eq!(live.waiting, [key], "{line}");
        assert_eq!(live.config, config(OLD));
    }
    let moved = OLD.replace("/run/x", "/run/y").replace("{a:", "{b:");
    let live = config(OLD).live(config(&moved)).unwrap();
    assert_eq!(live.waiting, ["files"]);
    assert_eq!(live.config.files[0].dir.to_str(), Some("/run/x"));
    assert!(live.config.files[0].include.is_empty(), "the new configuration shows nothing here");
}

#[test]
fn a_secret_of_what_waits_is_where_the_running_configuration_has_it() {
    let moved = OLD.replace("contoso", "fabrikam");
    let live = config(OLD).live(config(&moved)).unwrap();
    assert_eq!((live.waiting.as_slice(), &live.config), (&["vaults"][..], &config(OLD)));
    let renamed = OLD.replace("main", "other");
    let wrong = config(OLD).live(config(&renamed)).unwrap_err();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].starts_with("secret a (keyvault:other/secrets/a): 'other' is no alias"), "{wrong:?}");
}

#[test]
fn everything_else_changes_beside_what_waits() {
    let new =
        format!("{OLD}onRevoked: remove\nstale: {{after: 2d}}\nrefresh: {{interval: 1m}}\nenv: {{A: {{secret: a}}}}\n")
            .replace("dir: /run/x", "dir: /run/x, envFile: app.env");
    let live = config(OLD).live(config(&new)).unwrap();
    assert_eq!(live.waiting, ["onRevoked"]);
    assert_eq!(live.config, Config { on_revoked: OnRevoked::Keep, ..config(&new) });
    // Whom hooks tell waits, and what they hear of is the running configuration's, as far as it is still there.
    let hook = |names: &str| format!("onChange: [{{http: {{url: \"http://127.0.0.1:1/\"}}, secrets: [{names}]}}]\n");
    let secrets = "secrets: {a: keyvault:main/secrets/a, b: keyvault:main/secrets/b}";
    let old = OLD.replace("secrets: {a: keyvault:main/secrets/a}", secrets) + &hook("a, b");
    let live = config(&old).live(config(&format!("{OLD}{}", hook("a").replace(":1/", ":2/")))).unwrap();
    assert_eq!(live.waiting, ["onChange"]);
    let hears: Vec<Vec<&str>> =
        live.config.on_change.iter().map(|hook| hook.secrets.iter().map(SecretName::as_str).collect()).collect();
    assert_eq!((hears, &live.config.on_change[0].action), (vec![vec!["a"]], &config(&old).on_change[0].action));
    // Where whom they tell stays, what they hear of changes at once.
    let live = config(&old).live(config(&old.replace("[a, b]", "[b]"))).unwrap();
    assert_eq!((live.waiting.len(), live.config.on_change[0].secrets.len()), (0, 1));
}

/// Two directories, and a template in the first.
fn two(mode: &str, other: &str, rest: &str) -> String {
    format!(
        "vaults: {{main: {{url: https://contoso.vault.azure.net}}}}\n\
         secrets: {{a: keyvault:main/secrets/a, b: keyvault:main/secrets/b}}\n\
         files: [{{dir: /run/x, include: [a], mode: \"{mode}\"}}, {{dir: /run/y, include: [b], mode: \"{other}\"}}]\n{rest}"
    )
}

#[test]
fn what_is_made_of_secrets_lets_in_no_more_than_the_directories_that_run() {
    let template = "templates: [{dir: /run/x, destination: t, contents: \"{{ secrets.b }}\"}]\n";
    let rendered = |live: &Live| live.config.files[0].rendered[&PathBuf::from("t")].mode;
    // The new configuration widens the directory of b, which runs as it was until a restart.
    let live = config(&two("0440", "0400", "")).live(config(&two("0440", "0440", template))).unwrap();
    assert_eq!((live.waiting.as_slice(), rendered(&live)), (&["files"][..], 0o400));
    // It moves that directory away: in the one that runs nothing is shown any more.
    let moved = two("0440", "0440", template).replace("/run/y", "/run/z");
    let live = config(&two("0440", "0400", "")).live(config(&moved)).unwrap();
    assert_eq!((live.waiting.as_slice(), rendered(&live)), (&["files"][..], 0o400));
    let live = config(&two("0440", "0440", "")).live(config(&two("0400", "0440", template))).unwrap();
    assert_eq!(rendered(&live), 0o400, "nor than the new configuration says");
}

#[test]
fn directories_that_stay_and_what_is_new_must_fit_together() {
    let two_of_one = "secrets: {a: keyvault:main/secrets/a, b: {from: keyvault:main/secrets/b, file: a}}";
    let secrets = "secrets: {a: keyvault:main/secrets/a, b: keyvault:main/secrets/b}";
    let template =
        |file: &str| format!("templates: [{{dir: /run/x, destination: {file}, contents: \"{{{{ secrets.a }}}}\"}}]\n");
    let cases = [
        // The running directory shows a and b, the new configuration knows it no more, and gives both one file.
        (
            OLD.replace("secrets: {a: keyvault:main/secrets/a}", secrets),
            OLD.replace("secrets: {a: keyvault:main/secrets/a}", two_of_one)
                .replace("{dir: /run/x}", "[{dir: /run/y, include: [a]}, {dir: /run/z, include: [b]}]"),
            "/run/x: the secrets 'a' and 'b' have the same file",
        ),
        // Its template has a file that a secret has now.
        (
            format!("{OLD}{}", template("t")),
            OLD.replace("{a: keyvault:main/secrets/a}", "{a: {from: keyvault:main/secrets/a, file: t}}")
                .replace("/run/x", "/run/y"),
            "/run/x: t: this is the file of the secret 'a' as well",
        ),
        // It is made of a secret that is gone.
        (
            format!("{OLD}{}", template("t")),
            OLD.replace("{a:", "{b:").replace("/run/x", "/run/y"),
            "/run/x: t is made of the secret 'a' (value), which is gone",
        ),
        // It is made of a part that nobody asks for any more.
        (
            OLD.replace("secrets/a}", "certificates/a}")
                + "templates: [{dir: /run/x, destination: t, contents: \"{{ secrets.a.ca }}\"}]\n",
            OLD.replace("secrets/a}", "certificates/a}").replace("/run/x", "/run/y"),
            "/run/x: t is made of the secret 'a' (ca), which is gone",
        ),
    ];
    for (old, new, problem) in cases {
        let wrong = config(&old).live(config(&new)).unwrap_err();
        assert_eq!(wrong, [format!("{problem}; changes of the directories themselves wait for a restart")]);
    }
}

//! Which variables are replaced, and what is refused.

use keyferry_emulator::{DEFAULT_CLIENT, Fault, Misbehaviour, Permission, Refusal};

use super::{exec, stdout, world};
use crate::harness::end;

#[test]
fn references_become_values_and_the_rest_stays() {
    let world = world();
    for once in [&[][..], &["--once"]] {
        let mut command = exec(
            &world,
            "secrets: {db: keyvault:demo/secrets/db, user: keyvault:demo/secrets/user}\n\
             env: {URL: {template: \"{{ secrets.user }}:{{ secrets.db }}\"}}\n",
            once,
            "env",
        );
        command
            .env("DB", "${{keyvault:demo/secrets/db}}")
            .env("VAULT", "https://demo.vault.azure.net/")
            .env("PLAIN", "a b");
        let ended = end(&mut command);
        ended.expect(0, &[]);
        let text = stdout(&ended);
        let variables: Vec<&str> = text.lines().collect();
        for expected in ["DB=canary-db", "URL=app:canary-db", "VAULT=https://demo.vault.azure.net/", "PLAIN=a b"] {
            assert!(variables.contains(&expected), "no {expected} in {text}");
        }
        assert!(variables.iter().any(|line| line.starts_with("AZURE_FEDERATED_TOKEN_FILE=")), "{text}");
        assert!(!text.contains("KEYFERRY_"), "{text}");
        assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    }
}

#[test]
fn nothing_is_started_without_what_it_needs() {
    let world = world();
    let run = |name: &str, value: &str, config: &str| {
        let mut command = exec(&world, config, &[], "echo started");
        let ended = end(command.env(name, value));
        assert!(ended.stdout.is_empty(), "{ended:?}");
        ended
    };
    let short = "startup: {timeout: 1s}\n";
    run("DB", "keyvault:demo/secrets/absent", short).expect(69, &["env.DB", "SecretNotFound"]);
    world.emulator.deny(DEFAULT_CLIENT, "demo", Permission::Get, Some("user"), Refusal::ForbiddenByRbac);
    run("DB", "keyvault:demo/secrets/user", short).expect(77, &["env.DB", "ForbiddenByRbac"]);
    run("DB", "keyvault:demo", short).expect(78, &["the variable DB: "]);
    for value in [" keyvault:demo/secrets/db", "\"keyvault:demo/secrets/db\"", "${keyvault:demo/secrets/db}"] {
        run("DB", value, short).expect(78, &["the variable DB: it is nearly", "write 'keyvault:demo/secrets/db'"]);
    }
    let hidden = run("DB", "'keyvault:canary'", short);
    hidden.expect(78, &["the variable DB: it is nearly", "begins with 'keyvault:'"]);
    assert!(!hidden.stderr.contains("canary"), "{hidden:?}");
    run("DB", "keyvault:https://other.vault.localhost/secrets/x", short)
        .expect(78, &["the variable DB: ", "none of 'vaults'"]);
    run("T", "entra:https://x/.default", short).expect(78, &["the variable T: ", "exec.tokenScopes"]);
    let both = "secrets: {db: keyvault:demo/secrets/db}\nenv: {DB: {secret: db}}\n";
    run("DB", "keyvault:demo/secrets/db", both).expect(78, &["keep one"]);
}

#[test]
fn only_what_is_wanted_and_no_identity() {
    let world = world();
    let mut command = exec(&world, "", &["--only", "A", "--strip-identity"], "env");
    command.env("A", "keyvault:demo/secrets/user").env("B", "keyvault:nonsense").env("MSI_SECRET", "s");
    let ended = end(&mut command);
    ended.expect(0, &[]);
    let text = stdout(&ended);
    assert!(text.contains("A=app\n") && text.contains("B=keyvault:nonsense\n"), "{text}");
    assert!(!text.contains("AZURE_") && !text.contains("MSI_"), "{text}");
}

#[test]
fn a_host_that_hangs_is_told_with_what_gives_it_more_time() {
    let world = world();
    world.emulator.fault(Fault::vault(Misbehaviour::NeverAnswer));
    let mut command = exec(&world, "startup: {timeout: 1s}\n", &[], "echo started");
    let ended = end(command.env("DB", "keyvault:demo/secrets/db"));
    ended.expect(69, &["env.DB", "give it more time (startup.timeout)"]);
    assert!(!ended.stderr.contains("--timeout") && ended.stdout.is_empty(), "{ended:#?}");
}

#[test]
fn a_name_that_only_gets_wrong_is_a_wrong_command_line() {
    let world = world();
    let config = "secrets: {db: keyvault:demo/secrets/db}\nenv: {DB: {secret: db}}\n";
    let run = |only: &str, value: &str| {
        let mut command = exec(&world, config, &["--only", only], "echo started");
        let ended = end(command.env("URL", "https://demo.vault.azure.net/secrets/db").env("A", value));
        assert!(ended.stdout.is_empty(), "{ended:?}");
        ended
    };
    run("DB,NO", "x").expect(64, &["--only names 'NO', which has no value here"]);
    run("DB,", "x").expect(64, &["--only names '', which has no value here"]);
    run("URL,NO", "x").expect(64, &["--only names 'URL', whose value is no reference", "--only names 'NO'"]);
    // What is wrong besides is a person's to mend too, and no matter of the command line.
    run("A,NO", "keyvault:demo").expect(78, &["the variable A: ", "--only names 'NO'"]);
}

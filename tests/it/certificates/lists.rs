//! Lists in place of certificates and keys: a certificate stands among the secrets, through which it is read.

use std::time::{SystemTime, UNIX_EPOCH};

use keyferry_emulator::{CertificateSpec, Logged};

use super::authority::OF_EC;
use crate::harness::{SOON, World, until_holds};

/// Put so many seconds ago: by now no change can hide behind its time.
fn ago(seconds: u64, name: &str, spec: CertificateSpec) -> CertificateSpec {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    CertificateSpec { name: name.to_owned(), created: i64::try_from(now - seconds).ok(), ..spec }
}

fn count(log: &[Logged], path: &str) -> usize {
    log.iter().filter(|request| request.bearer && request.path == path).count()
}

#[test]
fn one_list_is_read_for_certificates_and_one_for_keys() {
    let (old, new) = (OF_EC.issue(90), OF_EC.issue(90));
    let world = World::new();
    for name in ["web", "mail"] {
        world.emulator.put_certificate("demo", ago(3600, name, old.as_pem()));
    }
    let agent = world.run(&world.config(
        "refresh: {interval: 1s, settle: 0s}\nsecrets:\n  web: keyvault:demo/certificates/web\n  \
         mail: keyvault:demo/certificates/mail\n  web-key: keyvault:demo/keys/web\n  mail-key: keyvault:demo/keys/mail\n",
    ));
    until_holds(&world.out().join("web/tls.key"), &old.key);
    let lists = |log: &[Logged]| [count(log, "/secrets"), count(log, "/keys")];
    assert!(world.emulator.wait_until(SOON, |log| lists(log).into_iter().all(|lists| lists >= 3)));
    let read = |path: &str| count(&world.emulator.requests(), path);
    let before = ["/secrets/web", "/secrets/mail", "/keys/web", "/keys/mail"].map(read);
    assert_eq!(before, [1, 1, 1, 1]);
    world.emulator.put_certificate("demo", ago(10, "web", new.as_pem()));
    until_holds(&world.out().join("web/tls.key"), &new.key);
    assert!(world.emulator.wait_until(SOON, |log| count(log, "/keys/web") > before[2]), "its key has changed with it");
    let [secrets, keys] = lists(&world.emulator.requests());
    assert!(world.emulator.wait_until(SOON, |log| lists(log)[0] >= secrets + 2 && lists(log)[1] >= keys + 2));
    assert_eq!(["/secrets/web", "/secrets/mail", "/keys/mail"].map(read), [2, 1, 1]);
    assert_eq!(read("/certificates"), 0);
    agent.stop();
}

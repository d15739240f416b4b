use super::*;

#[test]
fn a_hosts_file_is_read_as_the_system_reads_it() {
    let hosts =
        "# login.test\n127.0.0.1\tlocalhost\n\n10.0.0.1 login.test  Vault.Test # other.test\n10.0.0.2#late.test\n";
    for name in ["localhost", "login.test", "LOGIN.test", "vault.test"] {
        assert!(is_named(name, hosts), "{name}");
    }
    for name in ["10.0.0.1", "other.test", "late.test", "login", "test", "#", ""] {
        assert!(!is_named(name, hosts), "{name}");
    }
}

use super::*;

#[test]
fn a_signal_goes_by_its_name_in_every_spelling_of_it() {
    for signal in Signal::ALL {
        let name = signal.name();
        let short = name.strip_prefix("SIG").unwrap();
        for spelling in [name, short, &name.to_lowercase(), &short.to_lowercase()] {
            assert_eq!(Signal::parse(spelling), Ok(signal), "{spelling}");
        }
    }
    for other in ["", "SIG", "1", "KILL", "SIGSTOP", "SIG HUP", "SIGHUP ", "SIGSIGHUP", "HUPS"] {
        assert!(Signal::parse(other).unwrap_err().contains("SIGWINCH"), "{other}");
    }
}

#[test]
fn a_process_has_a_name_and_no_path() {
    for name in ["nginx", "tokio-runtime-w", "a b", "ünï", &"x".repeat(255)] {
        assert_eq!(ProcessName::parse(name).unwrap().as_str(), name);
    }
    for name in ["", "/usr/sbin/nginx", "a/", "a\nb", "a\0", &"x".repeat(256)] {
        assert!(ProcessName::parse(name).is_err(), "{name:?}");
    }
}

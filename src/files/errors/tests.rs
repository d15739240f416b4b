use super::*;

#[test]
fn every_failure_says_where_why_and_what_to_do() {
    for errno in [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::ACCESS, Errno::NAMETOOLONG, Errno::MFILE, Errno::IO] {
        let error = SinkError::from(Trouble::Call { doing: "create the file", path: "/run/x/key".into(), errno });
        assert_eq!(error.path, Path::new("/run/x/key"));
        assert!(error.reason.starts_with("could not create the file: "), "{error}");
        assert!(!error.fix.is_empty() && !error.fix.ends_with('.'), "{error}");
    }
    let full = SinkError::from(Trouble::Call { doing: "write", path: "/x".into(), errno: Errno::NOSPC });
    assert!(full.fix.contains("sizeLimit"), "{full}");
}

#[test]
fn only_what_a_neighbour_can_cause_is_tried_again() {
    let call = |errno| Trouble::Call { doing: "flip", path: "/x".into(), errno };
    for errno in [Errno::NOENT, Errno::ISDIR, Errno::NOTDIR, Errno::LOOP] {
        assert!(call(errno).is_interference(), "{errno}");
    }
    for errno in [Errno::NOSPC, Errno::ROFS, Errno::PERM, Errno::ACCESS] {
        assert!(!call(errno).is_interference(), "{errno}");
    }
    assert!(Trouble::Interference("/x".into()).is_interference());
    assert!(!Trouble::hopeless(Path::new("/x"), "a", "b").is_interference());
}

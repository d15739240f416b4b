use super::*;

#[test]
fn it_is_nothing_a_restart_or_a_signal() {
    assert_eq!(OnRotation::parse("none"), Ok(OnRotation::None));
    assert_eq!(OnRotation::parse("restart"), Ok(OnRotation::Restart));
    assert_eq!(OnRotation::parse("SIGHUP"), Ok(OnRotation::Signal(Signal::Hangup)));
    assert_eq!(OnRotation::parse("usr1"), Ok(OnRotation::Signal(Signal::User1)));
    for text in ["", "None", "reload", "SIGKILL", "9"] {
        assert!(OnRotation::parse(text).is_err(), "{text}");
    }
}

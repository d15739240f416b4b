use proptest::prelude::*;

use super::*;

#[cfg(target_endian = "little")]
#[test]
fn a_line_is_a_socket() {
    let line = "   1: 0100007F:1F90 0200007F:A3C4 01 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000000000000000 20";
    let expected = Entry {
        local: "127.0.0.1:8080".parse().unwrap(),
        remote: "127.0.0.2:41924".parse().unwrap(),
        state: 1,
        uid: 1000,
        inode: 12345,
    };
    assert_eq!(entry(line), Some(expected));
    let mapped =
        "  0: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:0050 06 0:0 0:0 0 0 0 0 1";
    assert_eq!(entry(mapped).unwrap().local, "[::ffff:127.0.0.1]:8080".parse().unwrap());
    let six = "  0: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:0050 01 0:0 0:0 0 7 0 9 1";
    assert_eq!(entry(six).unwrap().local, "[::1]:8080".parse().unwrap());
    assert_eq!(
        entry("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"),
        None
    );
}

proptest! {
    #[test]
    fn no_line_panics(line in ".{0,200}", words in prop::collection::vec("[0-9A-Fa-f:é ]{0,40}", 0..12)) {
        entry(&line);
        entry(&words.join(" "));
    }
}

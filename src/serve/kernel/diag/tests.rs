use proptest::prelude::*;

use super::*;

#[test]
fn the_request_is_the_kernel_s() {
    let request = request("127.0.0.1:4660".parse().unwrap(), "127.0.0.2:8210".parse().unwrap());
    assert_eq!(request.len(), REQUEST);
    assert_eq!(request[16..20], [2, 6, 0, 0]);
    assert_eq!(request[24..28], [0x12, 0x34, 0x20, 0x12]);
    assert_eq!(request[28..32], [127, 0, 0, 1]);
    assert_eq!(request[44..48], [127, 0, 0, 2]);
    assert_eq!(request[64..72], [0xff; 8]);
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap();
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], body].concat()
}

#[test]
fn an_error_is_an_error_and_nothing_is_nothing() {
    let error = |code: i32| read(&message(NLMSG_ERROR, &code.to_ne_bytes()));
    assert_eq!(error(-2), Ok(vec![]));
    assert_eq!(error(-13), Err(Errno::ACCESS));
    assert_eq!(error(i32::MIN), Err(Errno::BADMSG));
    assert_eq!(read(&message(NLMSG_ERROR, &[])), Err(Errno::BADMSG));
    assert_eq!(read(&message(3, &[0; 4])), Err(Errno::BADMSG));
    assert_eq!(read(&message(SOCK_DIAG_BY_FAMILY, &[0; ANSWER])), Err(Errno::BADMSG), "of no family");
    assert_eq!(read(&[]), Err(Errno::BADMSG));
}

proptest! {
    #[test]
    fn nothing_that_is_answered_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u16..32) {
        drop(read(&bytes));
        drop(read(&message(kind, &bytes)));
    }
}

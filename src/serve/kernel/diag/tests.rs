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
    let sequence = SEQUENCE.to_ne_bytes();
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 2], &sequence, &[0; 4], body].concat()
}

/// `struct inet_diag_msg`, and an attribute as one always follows.
fn socket(family: u8, ports: [u16; 2], uid: u32) -> Vec<u8> {
    let [own, other] = ports.map(u16::to_be_bytes);
    let address = if family == INET { "7f000001000000000000000000000000" } else { "00000000000000000000ffff7f000001" };
    let address = hex::decode(address).unwrap();
    let (uid, inode) = (uid.to_ne_bytes(), 7_u32.to_ne_bytes());
    let attribute = [5, 0, 8, 0, 0, 0, 0, 0];
    [&[family, 1, 0, 0], &own[..], &other, &address, &address, &[1; 24], &uid, &inode, &attribute].concat()
}

fn entry_of(ports: [u16; 2], uid: u32) -> Entry {
    let [local, remote] = ports.map(|port| ([127, 0, 0, 1], port).into());
    Entry { local, remote, state: 1, uid, inode: 7 }
}

#[test]
fn an_error_is_an_error_and_nothing_is_nothing() {
    let error = |code: i32| read(&message(NLMSG_ERROR, &code.to_ne_bytes()));
    assert_eq!(error(-2), Ok(vec![]));
    assert_eq!(error(-13), Err(Errno::ACCESS));
    assert_eq!(error(i32::MIN), Err(Errno::BADMSG));
    assert_eq!(read(&message(NLMSG_ERROR, &[])), Err(Errno::BADMSG));
    assert_eq!(read(&message(3, &[0; 4])), Err(Errno::BADMSG));
    assert_eq!(read(&message(21, &[0; 4])), Err(Errno::BADMSG));
    assert_eq!(read(&message(SOCK_DIAG_BY_FAMILY, &[0; ANSWER])), Err(Errno::BADMSG), "of no family");
    assert_eq!(read(&[]), Err(Errno::BADMSG));
}

#[test]
fn an_answer_is_read_to_its_end() {
    let one = message(SOCK_DIAG_BY_FAMILY, &socket(INET, [1, 2], 1000));
    let other = message(SOCK_DIAG_BY_FAMILY, &socket(INET, [1, 2], 1001));
    let found = entry_of([1, 2], 1000);
    assert_eq!(read(&one), Ok(vec![found]));
    let mapped = read(&message(SOCK_DIAG_BY_FAMILY, &socket(INET6, [1, 2], 1000))).unwrap();
    assert_eq!((canonical(mapped[0].local), mapped[0].uid), (found.local, 1000));
    assert_eq!(read(&[one.clone(), other].concat()), Ok(vec![found, entry_of([1, 2], 1001)]));
    let odd = [message(NLMSG_ERROR, &[&(-2_i32).to_ne_bytes()[..], &[9]].concat()), vec![0; 3], one].concat();
    assert_eq!(read(&odd), Ok(vec![found]), "messages begin at multiples of four");
}

#[test]
fn what_is_cut_or_not_asked_for_names_nobody() {
    let one = message(SOCK_DIAG_BY_FAMILY, &socket(INET, [1, 2], 1000));
    for length in 1..one.len() {
        assert_eq!(read(&one[..length]), Err(Errno::BADMSG), "{length}");
        assert_eq!(read(&[&one[..], &one[..length]].concat()), Err(Errno::BADMSG), "after a whole one, {length}");
    }
    for length in 0..ANSWER {
        assert_eq!(read(&message(SOCK_DIAG_BY_FAMILY, &socket(INET, [1, 2], 1000)[..length])), Err(Errno::BADMSG));
    }
    for length in [0, 15, u32::try_from(one.len()).unwrap() + 1, u32::MAX] {
        let lies = [&length.to_ne_bytes()[..], &one[4..]].concat();
        assert_eq!(read(&lies), Err(Errno::BADMSG), "{length}");
    }
    let other_s = [&one[..8], &2_u32.to_ne_bytes(), &one[12..]].concat();
    assert_eq!(read(&other_s), Err(Errno::BADMSG), "the answer to another request");
}

proptest! {
    #[test]
    fn nothing_that_is_answered_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u16..32) {
        drop(read(&bytes));
        drop(read(&message(kind, &bytes)));
    }
}

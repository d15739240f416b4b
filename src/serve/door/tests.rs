use std::collections::BTreeMap;

use super::*;
use crate::reference::SecretName;

fn visible(door: &Door, uid: u32) -> Result<Visible, (u16, String)> {
    let admitted = door.admit(&Ok(uid), &HeaderMap::new()).cloned();
    admitted.map_err(|refusal| (refusal.status.as_u16(), refusal.message))
}

#[test]
fn without_a_list_it_is_for_keyferry_s_own_user() {
    let door = Door::for_uids("serve.socket", Allow::Own, 1234);
    assert_eq!(visible(&door, 1234), Ok(Visible::All));
    let refused = (403, "uid 0 may not call: name it in 'serve.socket.allow'".to_owned());
    assert_eq!(visible(&door, 0), Err(refused), "not even for root");
}

#[test]
fn each_user_sees_what_its_entry_says_and_has_a_share_of_its_own() {
    let only = Visible::Only([SecretName::parse("db").unwrap()].into());
    let allow = Allow::Uids(BTreeMap::from([(1000, only.clone()), (0, Visible::All)]));
    let door = Door::for_uids("serve.http", allow, 1234);
    assert_eq!(visible(&door, 1000), Ok(only));
    assert_eq!(visible(&door, 0), Ok(Visible::All));
    assert_eq!(visible(&door, 1234).unwrap_err().0, 403, "its own user is not named");
    assert_eq!(door.share(&Ok(1000)), Share::Uid(1000));
    assert_eq!(door.share(&Ok(1234)), Share::Strangers);
}

#[test]
fn a_token_is_sent_once_and_whole() {
    let door = Door::for_bearer("serve.http", SecretValue::new(b"right".to_vec()));
    let sent = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        door.admit(&Err(Unknown::new("nobody asked")), &headers)
            .cloned()
            .map_err(|refusal| (refusal.status.as_u16(), refusal.header))
    };
    assert_eq!(sent(&["Bearer right"]), Ok(Visible::All));
    assert_eq!(sent(&["bearer right"]), Ok(Visible::All), "a scheme has no case (RFC 9110 §11.1)");
    for values in [
        &[][..],
        &["right"],
        &["Bearer"],
        &["Bearer "],
        &["Bearer  right"],
        &["Bearer righ"],
        &["Bearer rightx"],
        &["Basic right"],
        &["Bearer right", "Bearer right"],
        &["Bearer wrong", "Bearer right"],
    ] {
        let (status, header) = sent(values).unwrap_err();
        assert_eq!((status, header), (401, Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))), "{values:?}");
    }
}

#[test]
fn whom_the_kernel_does_not_know_nobody_lets_in() {
    let allow = Allow::Uids(BTreeMap::from([(1000, Visible::All), (0, Visible::All)]));
    let door = Door::for_uids("serve.http", allow, 1000);
    let unknown = Err(Unknown::new("it is gone"));
    let refusal = door.admit(&unknown, &HeaderMap::new()).unwrap_err();
    assert_eq!((refusal.status.as_u16(), refusal.code), (403, "CallerUnknown"));
    assert!(refusal.message.ends_with("it is gone"), "{}", refusal.message);
    assert_eq!(door.share(&unknown), Share::Strangers);
}

#[test]
fn the_token_of_an_azure_sdk_is_the_whole_header() {
    let door = Door::for_identity_header("serve.tokens", SecretValue::new(b"right".to_vec()));
    let sent = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDENTITY_HEADER, value.parse().unwrap());
        }
        let admitted = door.admit(&Ok(0), &headers).cloned();
        admitted.map_err(|refusal| (refusal.status.as_u16(), refusal.code))
    };
    assert_eq!(sent(&["right"]), Ok(Visible::All));
    for values in [&[][..], &[""], &["righ"], &["rightx"], &["Bearer right"], &["right", "right"], &["wrong", "right"]]
    {
        assert_eq!(sent(values), Err((401, "TokenMissing")), "{values:?}");
    }
    assert_eq!(door.share(&Ok(0)), Share::Anybody);
}

use super::*;
use crate::azure::transport::WHOLE_REQUEST;

#[test]
fn a_name_with_one_public_address_has_none() {
    let addresses = |list: &[&str]| list.iter().map(|address| address.parse().unwrap()).collect::<Vec<SocketAddr>>();
    let nearby = addresses(&["127.0.0.1:0", "[fe80::1]:0", "10.1.2.3:0"]);
    assert_eq!(only_nearby(nearby.clone()).unwrap(), nearby);
    for public in ["8.8.8.8:0", "[2001:db8::1]:0", "[::ffff:8.8.8.8]:0", "0.0.0.0:0"] {
        assert!(only_nearby([nearby.clone(), addresses(&[public])].concat()).is_err(), "{public}");
    }
}

#[tokio::test]
async fn an_address_in_whatever_spelling_is_not_asked_when_it_is_public() {
    let nearby = Nearby::new(&Metrics::new([0; 16])).unwrap();
    for url in
        ["http://8.8.8.8/", "http://134744072/", "http://0x08080808/", "http://010.8.8.8/", "http://[::ffff:8.8.8.8]/"]
    {
        let failure = nearby.get(&Url::parse(url).unwrap(), None, WHOLE_REQUEST).await.unwrap_err();
        assert_eq!((failure.blame, failure.code.as_str()), (Blame::Identity, "public-address"), "{url}");
    }
}

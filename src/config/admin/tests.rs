use super::Listen;

#[test]
fn an_address_and_its_port_or_the_port_alone() {
    for text in [":8211", "127.0.0.1:8211", "[::1]:8211", "0.0.0.0:0", ":65535"] {
        assert_eq!(Listen::parse(text).unwrap().to_string(), text);
    }
    for text in ["", "8211", ":", ":-1", ":65536", "localhost:8211", "127.0.0.1", "::1:8211x", " :8211", "http://:8211"]
    {
        assert!(Listen::parse(text).is_err(), "{text}");
    }
}

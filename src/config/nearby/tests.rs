use super::*;

#[test]
fn what_is_beside_this_machine_is_accepted() {
    for url in [
        "http://127.0.0.1:41741/msi/token",
        "http://169.254.169.254",
        "http://localhost:42356/msi/token/",
        "http://[::1]:80/msi?a=b",
        "http://[fd00::1]",
        "http://10.0.0.4:46808/MSI/auth",
        "http://msi.internal/",
    ] {
        assert_eq!(Nearby::parse(url, "").as_ref().map(Nearby::as_str), Ok(url));
    }
    let imds = Nearby::parse("http://169.254.169.254/", "/metadata").unwrap();
    assert_eq!(imds.as_str(), "http://169.254.169.254/metadata");
}

#[test]
fn what_is_not_is_refused_and_never_shown() {
    for (url, piece) in [
        ("https://127.0.0.1/msi", "http://"),
        ("127.0.0.1", "http://"),
        ("http://8.8.8.8/msi", "public"),
        ("http://0.0.0.0/msi", "public"),
        ("http://[2001:db8::1]/msi", "public"),
        ("http://[::ffff:8.8.8.8]/msi", "public"),
        ("http://hunter2@127.0.0.1/", "without a user"),
        ("http://127.0.0.1/a b", "blanks"),
        ("http://127.0.0.1/#a", "fragment"),
        ("http://127.0.0.1\\@8.8.8.8/", "without a user"),
        ("http://", "host's name"),
        ("http://:80", "host's name"),
        ("http://127.0.0.1:", "port"),
        ("http://127.0.0.1:99999", "port"),
        ("http://127.0.0.1:0", "port"),
        ("http://[127.0.0.1]", "host's name"),
        ("http://[::1]80", "host's name"),
    ] {
        let message = Nearby::parse(url, "").unwrap_err();
        assert!(message.contains(piece), "{url}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn a_hook_is_on_this_machine_itself() {
    let loopback = |url: &str| {
        let url = Loopback::parse(url).unwrap();
        let addresses: Vec<String> = url.addresses().iter().map(ToString::to_string).collect();
        (url.authority().to_owned(), url.target().to_owned(), addresses.join(" "))
    };
    for (url, authority, target, addresses) in [
        ("http://127.0.0.1", "127.0.0.1", "/", "127.0.0.1:80"),
        ("http://127.9.9.9:8080/-/reload", "127.9.9.9:8080", "/-/reload", "127.9.9.9:8080"),
        ("http://[::1]:81?a=b", "[::1]:81", "/?a=b", "[::1]:81"),
        ("http://LOCALHOST:8080/a/", "LOCALHOST:8080", "/a/", "127.0.0.1:8080 [::1]:8080"),
    ] {
        assert_eq!(loopback(url), (authority.to_owned(), target.to_owned(), addresses.to_owned()), "{url}");
    }
    let shown = Loopback::parse("http://127.0.0.1/a?token=hunter2").unwrap();
    assert_eq!(shown.to_string(), "http://127.0.0.1/a");
    assert!(!format!("{shown:?}").contains("hunter2"));
}

#[test]
fn addresses_that_look_private_are_told_apart() {
    for (address, nearby) in [
        ("127.255.255.254", true),
        ("172.16.0.1", true),
        ("172.32.0.1", false),
        ("192.168.0.1", true),
        ("100.64.0.1", false),
        ("168.63.129.16", false),
        ("fe80::1", true),
        ("fec0::1", false),
        ("::ffff:10.0.0.1", true),
        ("::", false),
    ] {
        assert_eq!(is_nearby(address.parse().unwrap()), nearby, "{address}");
    }
}

use proptest::prelude::*;

use super::*;
use crate::moment::UnixTime;
use crate::survey::Stamp;

const FIRST: &str = "https://a.vault.azure.net/secrets?api-version=7.6";

fn next_of(first: &str, present: &str, link: &str) -> Result<Option<String>, String> {
    let page = Page::read(format!(r#"{{"value":[],"nextLink":{link}}}"#).as_bytes()).unwrap();
    let url = |text: &str| Url::parse(text).unwrap();
    let next = page.next(&url(first), &url(present));
    next.map(|next| next.map(|url| url.to_string())).map_err(|failure| failure.code.to_string())
}

fn next(link: &str) -> Result<Option<String>, String> {
    next_of(FIRST, FIRST, &format!("\"{link}\""))
}

#[test]
fn a_list_goes_on_where_it_began() {
    for (link, goes_on) in [
        ("https://a.vault.azure.net:443/secrets?api-version=7.6&$skiptoken=eyJO", true),
        ("https://a.vault.azure.net/secrets?api-version=7.3&$skiptoken=eyJO&maxresults=25", true),
        ("https://A.Vault.Azure.NET/secrets?$skiptoken=x", true),
        ("HTTPS://a.vault.azure.net/secrets?$skiptoken=x", true),
        ("https://a.vault.azure.net:8443/secrets?$skiptoken=x", false),
        ("http://a.vault.azure.net/secrets?$skiptoken=x", false),
        ("http://a.vault.azure.net:443/secrets?$skiptoken=x", false),
        ("https://b.vault.azure.net/secrets?$skiptoken=x", false),
        ("https://a.vault.azure.net./secrets?$skiptoken=x", false),
        ("https://a.vault.azure.net.evil.example/secrets?$skiptoken=x", false),
        ("https://evil.example/secrets?x=https://a.vault.azure.net", false),
        ("https://a.vault.azure.net@evil.example/secrets?$skiptoken=x", false),
        ("https://user@a.vault.azure.net/secrets?$skiptoken=x", false),
        ("https://:pass@a.vault.azure.net/secrets?$skiptoken=x", false),
        ("https://a.vault.azure.net/secrets/?$skiptoken=x", false),
        ("https://a.vault.azure.net/secrets/x?$skiptoken=x", false),
        ("https://a.vault.azure.net/keys?$skiptoken=x", false),
        ("https://a.vault.azure.net/secrets/%2e%2e/keys?$skiptoken=x", false),
        ("https://a.vault.azure.net/secrets?$skiptoken=x#y", false),
        (FIRST, false),
        ("/secrets?$skiptoken=x", false),
        ("//a.vault.azure.net/secrets?$skiptoken=x", false),
        ("secrets", false),
        ("javascript:alert(1)", false),
    ] {
        let next = next(link);
        if goes_on {
            assert!(next.as_ref().is_ok_and(Option::is_some), "{link}: {next:?}");
        } else {
            assert_eq!(next, Err("bad-next-link".to_owned()), "{link}");
        }
    }
    // A vault at a port of its own is a vault at that port.
    let local = "https://demo.vault.localhost:8443/secrets?api-version=7.6";
    let link =
        |port: &str| next_of(local, local, &format!("\"https://demo.vault.localhost{port}/secrets?$skiptoken=x\""));
    assert!(link(":8443").is_ok() && link("").is_err() && link(":443").is_err());
}

#[test]
fn a_list_ends_in_each_of_the_ways_there_are() {
    for link in ["null", "\"\""] {
        assert_eq!(next_of(FIRST, FIRST, link), Ok(None), "{link}");
    }
    let page = Page::read(br#"{"value":[]}"#).unwrap();
    assert_eq!(page.next(&Url::parse(FIRST).unwrap(), &Url::parse(FIRST).unwrap()), Ok(None));
    for link in ["17", "true", "[]", "{}", &format!("\"{FIRST}&$skiptoken={}\"", "A".repeat(LONGEST_LINK))] {
        assert_eq!(next_of(FIRST, FIRST, link), Err("bad-next-link".to_owned()));
    }
}

#[test]
fn what_is_no_list_is_refused() {
    for body in ["", "<html>", "[]", "{}", r#"{"value":null}"#, r#"{"value":{}}"#, r#"{"value":"x"}"#] {
        let failure = Page::read(body.as_bytes()).map(drop).unwrap_err();
        assert_eq!((failure.blame, failure.code.as_str()), (Blame::Object, "bad-answer"), "{body}");
    }
}

fn shown(entries: &str, collection: Collection) -> Survey {
    let page = Page::read(format!(r#"{{"value":[{entries}]}}"#).as_bytes()).unwrap();
    let wanted = ["n".to_owned()].into_iter().chain((0..1_000).map(|number| format!("s{number}")));
    let mut survey = Survey::of(wanted.map(|name| ObjectName::parse(&name).unwrap()).collect());
    page.show(collection, &Url::parse(FIRST).unwrap(), &mut survey);
    survey
}

fn entry(id: &str, attributes: &str) -> String {
    format!(r#"{{"id":"{id}","attributes":{attributes},"managed":true,"tags":{{}}}}"#)
}

#[test]
fn entries_are_read_as_far_as_they_make_sense() {
    let name = ObjectName::parse("n").unwrap();
    let stamp_of = |id: &str, attributes: &str| shown(&entry(id, attributes), Collection::Secret).stamp(&name);
    let id = "https://a.vault.azure.net/secrets/n";
    let stamp = |updated, expires: Option<u64>| {
        let at = |seconds| UnixTime::from_seconds(seconds).unwrap();
        Some(Stamp { created: None, updated: at(updated), expires: expires.map(at) })
    };
    for (attributes, expected) in [
        (
            r#"{"enabled":true,"created":1,"updated":2,"recoveryLevel":"Purgeable"}"#,
            stamp(2, None).map(|stamp| Stamp { created: UnixTime::from_seconds(1), ..stamp }),
        ),
        (r#"{"created":"1","updated":2}"#, stamp(2, None)),
        (r#"{"enabled":true,"nbf":1,"exp":9,"updated":2}"#, stamp(2, Some(9))),
        (r#"{"updated":2}"#, stamp(2, None)),
        (r#"{"enabled":false,"updated":2}"#, None),
        (r#"{"enabled":"true","updated":2}"#, None),
        (r#"{"enabled":null,"updated":2}"#, None),
        (r#"{"enabled":true}"#, None),
        (r#"{"enabled":true,"updated":-1}"#, None),
        (r#"{"enabled":true,"updated":1e308}"#, None),
        (r#"{"enabled":true,"updated":2.0}"#, None),
        (r#"{"enabled":true,"updated":"2"}"#, None),
        (r#"{"enabled":true,"updated":18446744073709551615}"#, None),
        (r#"{"enabled":true,"updated":2,"exp":"soon"}"#, stamp(2, None)),
        ("[]", None),
        ("null", None),
        ("7", None),
    ] {
        assert_eq!(stamp_of(id, attributes), expected, "{attributes}");
    }
    let good = r#"{"updated":2}"#;
    for (id, is_ours) in [
        ("https://a.vault.azure.net:443/secrets/N", true),
        ("https://a.vault.azure.net/Secrets/n", true),
        ("https://a.vault.azure.net/keys/n", false),
        ("https://a.vault.azure.net/secrets/n/0123456789abcdef0123456789abcdef", false),
        ("https://a.vault.azure.net/secrets/n/", false),
        ("https://b.vault.azure.net/secrets/n", false),
        ("http://a.vault.azure.net/secrets/n", false),
        ("https://a.vault.azure.net:8443/secrets/n", false),
        ("https://x@a.vault.azure.net/secrets/n", false),
        ("https://a.vault.azure.net/deleted/secrets/n", false),
        ("/secrets/n", false),
        ("n", false),
        ("", false),
        ("https://a.vault.azure.net/secrets/n%2e", false),
    ] {
        assert_eq!(stamp_of(id, good).is_some(), is_ours, "{id}");
    }
    let key = format!(r#"{{"kid":"https://a.vault.azure.net/keys/n","attributes":{good}}}"#);
    assert!(shown(&key, Collection::Key).stamp(&name).is_some());
    assert!(shown(&entry("https://a.vault.azure.net/keys/n", good), Collection::Key).stamp(&name).is_none());
    for nonsense in ["null", "7", "[]", "\"n\"", "{}", r#"{"id":5}"#, r#"{"id":null,"attributes":{"updated":2}}"#] {
        assert_eq!(shown(nonsense, Collection::Secret), shown("", Collection::Secret), "{nonsense}");
    }
}

#[test]
fn a_page_shows_no_more_than_a_page_may() {
    let entries: Vec<String> =
        (0..1_000).map(|n| entry(&format!("https://a.vault.azure.net/secrets/s{n}"), r#"{"updated":2}"#)).collect();
    let survey = shown(&entries.join(","), Collection::Secret);
    let known = (0..1_000).filter(|n| survey.stamp(&ObjectName::parse(&format!("s{n}")).unwrap()).is_some());
    assert_eq!(known.count(), 25);
}

#[test]
fn no_more_is_kept_of_a_page_than_is_looked_at() {
    let zeros = format!("[{}0]", "0,".repeat(1 << 20));
    let page = |value: &str, link: &str| Page::read(format!(r#"{{"value":{value},"nextLink":{link}}}"#).as_bytes());
    let long = page(&zeros, "null").unwrap();
    assert_eq!((long.value.0.len(), long.value.0.capacity()), (PAGE, PAGE));
    // Whatever stands where a time, a name or a link may: it is passed over.
    let entry = format!(r#"[{{"id":{zeros},"attributes":{zeros}}},{{"id":"x","attributes":{{"updated":{zeros}}}}}]"#);
    let page = page(&entry, &zeros).unwrap();
    let item = page.value.0[0].get().unwrap();
    assert!(item.id == Scalar::Other && item.attributes.get().is_none() && page.next_link == Scalar::Other);
    assert!(page.next(&Url::parse(FIRST).unwrap(), &Url::parse(FIRST).unwrap()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever a vault sends, it is read without harm, and a token goes nowhere but to the list itself.
    #[test]
    fn nothing_leads_astray(body in any::<Vec<u8>>(), link in "\\PC{0,60}", host in "[a-z.@:/#?\\\\%]{0,20}") {
        if let Ok(page) = Page::read(&body) {
            page.show(Collection::Secret, &Url::parse(FIRST).unwrap(), &mut Survey::default());
        }
        let first = Url::parse(FIRST).unwrap();
        for link in [link, format!("https://{host}"), format!("https://a.vault.azure.net{host}"), format!("{FIRST}{host}")] {
            let page = Page { value: Entries(Vec::new()), next_link: Scalar::Text(link) };
            if let Ok(Some(next)) = page.next(&first, &first) {
                prop_assert_eq!(next.host_str(), Some("a.vault.azure.net"));
                prop_assert_eq!((next.scheme(), next.port(), next.path(), next.username()), ("https", None, "/secrets", ""));
            }
        }
    }
}

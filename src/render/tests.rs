//! Templates and env files as values: what comes out, what is refused, and that no value is ever told.

mod env_files;
mod reading;
mod syntaxes;

use proptest::prelude::*;

use super::*;
use crate::secret::Version;

const CANARY: &str = "cAnAry-71-ü";

pub(super) fn name(name: &str) -> SecretName {
    SecretName::parse(name).unwrap()
}

pub(super) fn plain(value: impl AsRef<[u8]>) -> Arc<Secret> {
    Arc::new(Secret::plain(Version::Unversioned, SecretValue::new(value.as_ref().to_vec())))
}

/// `a` to `d` are secrets of one value, `web` is a certificate.
pub(super) fn holds(name: &str) -> Holds {
    match name {
        "a" | "b" | "c" | "d" | "db-password" => Holds::Value,
        "web" => Holds::Parts,
        "broken" => Holds::Untold,
        _ => Holds::Nothing,
    }
}

pub(super) fn template(text: &str, escape: Escape) -> Template {
    Template::parse("/t.j2".to_owned(), text.to_owned(), escape, &holds).unwrap()
}

pub(super) fn values<'v>(values: impl IntoIterator<Item = (&'v str, &'v str)>) -> Values {
    values.into_iter().map(|(secret, value)| (name(secret), plain(value))).collect()
}

fn rendered(text: &str, escape: Escape, values: &Values) -> Result<String, String> {
    let value = template(text, escape).render(values).map_err(|failure| failure.to_string())?;
    Ok(String::from_utf8(value.expose().to_vec()).unwrap())
}

#[test]
fn templates_say_what_is_written() {
    let web = Secret {
        version: Version::Unversioned,
        parts: BTreeMap::from([
            (Part::Key, SecretValue::new(b"KEY".to_vec())),
            (Part::Fullchain, SecretValue::new(b"CHAIN".to_vec())),
        ]),
        missing: BTreeMap::new(),
    };
    let mut values =
        values([("a", "p@ss/w ö~"), ("b", "say \"hi\"\n\\ </script> \u{2028}\u{7f}\0"), ("db-password", "x")]);
    values.insert(name("web"), Arc::new(web));
    let table = [
        ("", ""),
        ("as it is\n\n", "as it is\n\n"),
        ("{{ secrets['a'] }}", "p@ss/w ö~"),
        ("{{ secrets.a }}{{ secrets[\"db-password\"] }}\n", "p@ss/w ö~x\n"),
        ("{{ secrets['a'] | urlencode }}", "p%40ss%2Fw%20%C3%B6~"),
        ("{{ secrets['a'] | b64encode }}", "cEBzcy93IMO2fg=="),
        ("{{ secrets['db-password'] | tojson }}", "\"x\""),
        ("{{ secrets['db-password'] | upper ~ '!' }}", "X!"),
        ("{{ secrets['web'].key }} {{ secrets.web['fullchain'] }}", "KEY CHAIN"),
        ("{% if secrets['c'] is defined %}yes{% else %}no{% endif %}", "no"),
        ("{{ secrets['c'] | default('none') }}", "none"),
        ("{% if secrets['web'].leaf is defined %}yes{% else %}no{% endif %}", "no"),
        ("{% set x = secrets.a %}{{ x | length }}", "9"),
        ("{% for part in secrets['a'] | split('/') %}<{{ part }}>{% endfor %}", "<p@ss><w ö~>"),
        ("{# secrets['nothing'] #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ secrets['b'] }}", "say \"hi\"\n\\ </script> \u{2028}\u{7f}\0"),
    ];
    for (text, expected) in table {
        assert_eq!(rendered(text, Escape::None, &values), Ok(expected.to_owned()), "{text}");
    }
    let json =
        rendered("{\"b\": \"{{ secrets.b }}\", \"c\": {{ secrets.b | tojson }}}", Escape::Json, &values).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["b"], "say \"hi\"\n\\ </script> \u{2028}\u{7f}\0");
    assert_eq!(json["b"], json["c"]);
}

#[test]
fn the_files_name_decides_how_values_are_written() {
    let table = [
        ("app.json", Escape::Json),
        ("dir/APP.Json", Escape::Json),
        ("app.env", Escape::EnvFile),
        (".env", Escape::EnvFile),
        (".env.production", Escape::EnvFile),
        ("web/.ENV.local", Escape::EnvFile),
        (".env.json", Escape::Json),
        ("my.env.txt", Escape::None),
        ("env", Escape::None),
        ("app.json.txt", Escape::None),
        ("json", Escape::None),
        ("app.yaml", Escape::None),
        ("app.json/x", Escape::None),
    ];
    for (path, escape) in table {
        assert_eq!(Escape::of(path.as_ref()), escape, "{path}");
    }
}

#[test]
fn what_a_template_may_do_is_bounded() {
    let values = values([("a", &*"x".repeat(1 << 20))]);
    assert_eq!(rendered(&"{{ secrets.a }}".repeat(4), Escape::None, &values).unwrap().len(), 4 << 20);
    let table = [
        (format!("x{}", "{{ secrets.a }}".repeat(4)), "/t.j2: what it makes is longer than 4 MiB"),
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}".into(),
            "/t.j2:1: this is too much work for a template",
        ),
        ("{{ (secrets.a * 99999) | length }}".into(), "/t.j2:1: this is too much work for a template"),
    ];
    for (text, message) in table {
        assert_eq!(rendered(&text, Escape::None, &values), Err(message.to_owned()));
    }
    // What a loop could nest deeper and deeper.
    let nested = "{% set n = namespace(x=1) %}{% for i in range(99999) %}{% set n.x = [n.x] %}{% endfor %}";
    assert!(Template::parse("t".to_owned(), nested.to_owned(), Escape::None, &holds).is_err());
    // It could nest as deep as it recurses, many levels at once.
    let recursive = "{% for x in [1] recursive %}{{ loop([[[1]]]) }}{% endfor %}";
    let wrong = Template::parse("t".to_owned(), recursive.to_owned(), Escape::None, &holds).unwrap_err();
    assert_eq!(wrong[0].message, "a loop cannot be recursive here: leave the word out");
}

#[test]
fn what_is_not_there_is_named_with_its_line() {
    let values = values([("a", CANARY)]);
    let absent = "the secret 'b' is not there: ask before, {% if secrets['b'] is defined %}, or leave it out";
    let table = [
        ("{{ secrets.a }}\n\n{{ secrets['b'] }}", format!("/t.j2:3: {absent}")),
        ("{{ secrets['b'] | upper }}", format!("/t.j2:1: {absent}")),
        ("{{ secrets['b'] ~ secrets.a }}", format!("/t.j2:1: {absent}")),
        ("{% for x in secrets['b'] %}{% endfor %}", format!("/t.j2:1: {absent}")),
        ("{% if secrets.b %}{% endif %}", format!("/t.j2:1: {absent}")),
        ("{% if secrets.b is defined %}{% endif %}\n{{ {'a': 1}.b }}", "/t.j2:2: something here is not defined".into()),
    ];
    for (text, message) in table {
        assert_eq!(rendered(text, Escape::None, &values), Err(message), "{text}");
    }
}

/// Everything that goes wrong with a value in hand. The engine's own messages quote some of them.
#[test]
fn no_failure_tells_a_value() {
    let values = values([("a", CANARY), ("b", "7"), ("c", "it's")]);
    let failing = [
        "{{ secrets.a + 1 }}",
        "{{ -secrets.a }}",
        "{{ secrets.a - secrets.b }}",
        "{{ secrets.a // 2 }}",
        "{{ secrets.a ** 2 }}",
        "{{ secrets.a | int }}",
        "{{ secrets.a | float }}",
        "{{ secrets.a | abs }}",
        "{{ secrets.a | round }}",
        "{{ secrets.a | sum }}",
        "{{ secrets.a | items }}",
        "{{ secrets.a | dictsort }}",
        "{{ secrets.a | batch(secrets.a) }}",
        "{{ secrets.a | urlencode(secrets.a) }}",
        "{{ secrets.a | upper(x=secrets.a) }}",
        "{{ secrets.a | map(secrets.a) | list }}",
        "{{ [1] | map(secrets.a) | list }}",
        "{{ [1] | select(secrets.a) | list }}",
        "{{ secrets.a | split(3) | first | attr(secrets.a) | upper }}",
        "{{ '%d' | format(secrets.a) }}",
        "{{ secrets.a | format(1, 2) }}",
        "{{ secrets.a[secrets.a] }}",
        "{{ {'x': 1}[secrets.a] }}",
        "{{ secrets.a is divisibleby(secrets.a) }}",
        "{{ 1 in secrets.a.x }}",
        "{{ range(secrets.a) }}",
        "{{ dict(secrets.a) }}",
        "{% set x = namespace(secrets.a) %}",
        "{% set x, y = secrets.a %}",
        "{% for x, y in [secrets.a] %}{% endfor %}",
        "{% for x in 5 if secrets.a %}{% endfor %}",
        "{% autoescape secrets.a %}{% endautoescape %}",
        "{% filter urlencode(secrets.a) %}{{ secrets.a }}{% endfilter %}",
        "{% do secrets.a() %}",
        "{{ secrets.a['x']() }}",
        "{{ (secrets.a ~ '')() }}",
        "{{ (secrets.a ~ '').nothing() }}",
        "{{ [secrets.a].nothing() }}",
        "{{ [b'1', secrets.a] | sort | tojson(indent=secrets.a) }}",
        "{{ secrets.a }}'{{ secrets.c }}",
    ];
    let mut failures = 0;
    for text in failing {
        let parsed = Template::parse("/t.j2".to_owned(), text.to_owned(), Escape::EnvFile, &holds);
        let told = match parsed.map(|template| template.render(&values)) {
            Ok(Ok(_)) => continue,
            Ok(Err(failure)) => format!("{failure} {failure:?}"),
            Err(wrong) => format!("{wrong:?}"),
        };
        failures += 1;
        assert!(!told.contains("cAnAry") && !told.contains("71"), "{text}: {told}");
    }
    assert!(failures >= 30, "{failures}");
}

#[test]
fn what_is_no_text_is_told_by_name() {
    let values = Values::from([(name("a"), plain(b"\xff\xfecAnAry"))]);
    let message = "/t.j2:2: the secret 'a' is not UTF-8 text, so it cannot be part of one";
    assert_eq!(rendered("\n{{ secrets.a }}", Escape::None, &values), Err(message.to_owned()));
    assert_eq!(rendered("{{ 1 }}", Escape::None, &values), Ok("1".to_owned()), "what is not named is not looked at");
}

#[test]
fn a_template_sees_what_it_names_and_nothing_else() {
    let values = values([("a", "1"), ("b", CANARY)]);
    for text in ["{{ debug() }}", "{{ secrets }}", "{{ secrets | tojson }}", "{{ [1] | map('pprint') | list }}"] {
        let parsed = Template::parse("/t.j2".to_owned(), format!("{text}{{{{ secrets.a }}}}"), Escape::None, &holds);
        let shown = parsed.map(|template| template.render(&values));
        assert!(!matches!(shown, Ok(Ok(_))), "{text}");
    }
}

proptest! {
    #[test]
    fn json_always_parses_and_holds_the_value(a in any::<String>(), b in "[\"'\\\\\\x00-\\x1f{}%#ü]{0,20}") {
        let text = "{\"a\": \"{{ secrets.a }}\", \"both\": \"<{{ secrets.a ~ secrets.b }}>\", \"raw\": {{ secrets.b | tojson }}}";
        let json = rendered(text, Escape::Json, &values([("a", &*a), ("b", &*b)])).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&json["a"], &*a);
        prop_assert_eq!(&json["both"], &format!("<{a}{b}>"));
        prop_assert_eq!(&json["raw"], &*b);
    }

    #[test]
    fn urlencode_leaves_only_unreserved_characters(value in any::<String>()) {
        let encoded = rendered("{{ secrets.a | urlencode }}", Escape::None, &values([("a", &*value)])).unwrap();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
        prop_assert!(encoded.bytes().all(is_plain), "{}", encoded);
        let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap();
        prop_assert_eq!(decoded, value);
    }

    #[test]
    fn no_template_makes_it_panic(text in "(\\{\\{|\\}\\}|\\{%|%\\}|secrets|\\['a'\\]|\\.a| for | in | if |endif|endfor|set|[a-z|(),~+*'\"# \n-]){0,40}") {
        if let Ok(template) = Template::parse("t".to_owned(), text, Escape::Json, &holds) {
            let told = template.render(&values([("a", CANARY)])).map_err(|failure| failure.to_string());
            prop_assert!(!told.is_err_and(|told| told.contains("cAnAry")));
        }
    }
}

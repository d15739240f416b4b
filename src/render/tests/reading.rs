//! What is wrong with a template is found before any value is there, all of it, with its places.

use super::*;

#[track_caller]
fn assert_wrong(text: &str, expected: &[(usize, Option<usize>, &str)]) {
    let wrong = Template::parse("t".to_owned(), text.to_owned(), Escape::None, &holds).unwrap_err();
    let found: Vec<_> = wrong.iter().map(|wrong| (wrong.line, wrong.column, wrong.message.as_str())).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn everything_is_found_on_every_path() {
    let unknown = "there is no secret 'x' in 'secrets:'";
    let dotted = "there is no secret 'x' in 'secrets:'; any name can be written secrets['…']";
    assert_wrong(
        "{{ secrets['x'] }}\n  {% if false %}{{ secrets.x }}{% endif %}\n{# ü #}ü{{ secrets['x'] | default('y') }}",
        &[(1, Some(4), unknown), (2, Some(20), dotted), (3, Some(12), unknown)],
    );
    assert_wrong(
        "{% for i in secrets['x'] if secrets['x'] %}{{ secrets['x'] }}{% else %}{{ secrets['x'] }}{% endfor %}",
        &[(1, Some(13), unknown), (1, Some(29), unknown), (1, Some(47), unknown), (1, Some(75), unknown)],
    );
    for inside in [
        "{% set y = secrets['x'] %}",
        "{% set y %}{{ secrets['x'] }}{% endset %}",
        "{% with y = secrets['x'] %}{% endwith %}",
        "{% with %}{{ secrets['x'] }}{% endwith %}",
        "{% filter replace('a', secrets['x']) %}{% endfilter %}",
        "{% autoescape secrets['x'] %}{% endautoescape %}",
        "{% do range(secrets['x']) %}",
        "{{ 1 if secrets['x'] else 2 }}",
        "{{ 1 if 0 else secrets['x'] }}",
        "{{ not secrets['x'] }}",
        "{{ [1, (2, {'k': secrets['x']})] }}",
        "{{ {secrets['x']: 1} }}",
        "{{ 'abc'[secrets['x']:2] }}",
        "{{ 'abc'[1:2:secrets['x']] }}",
        "{{ 1 < secrets['x'] < 2 }}",
        "{{ 1 is eq(secrets['x']) }}",
        "{{ secrets['x'] is defined }}",
        "{{ range(*secrets['x']) }}",
        "{{ dict(k=secrets['x']) }}",
        "{{ dict(**secrets['x']) }}",
        "{{ secrets['a'][secrets['x']] }}",
        "{{ secrets['x'].y.z }}",
        "{{ secrets['x'][0] }}",
    ] {
        let wrong = Template::parse("t".to_owned(), inside.to_owned(), Escape::None, &holds).unwrap_err();
        assert_eq!(wrong.len(), 1, "{inside}: {wrong:?}");
        assert_eq!(wrong[0].message, unknown, "{inside}");
    }
}

#[test]
fn secrets_are_named_by_what_stands_there() {
    let how = "a secret is written secrets['name'], its name in quotes";
    for text in ["{{ secrets }}", "{{ secrets[secrets.a] }}", "{{ secrets[1] }}", "{% for s in secrets %}{% endfor %}"]
    {
        let wrong = Template::parse("t".to_owned(), text.to_owned(), Escape::None, &holds).unwrap_err();
        assert_eq!((wrong.len(), wrong[0].message.as_str()), (1, how), "{text}");
    }
    let dotted = "there is no secret 'db' in 'secrets:'; any name can be written secrets['…']";
    let password = "'password' is not defined: a template knows 'secrets'";
    assert_wrong("{{ secrets.db-password }}", &[(1, Some(4), dotted), (1, Some(15), password)]);
    assert_wrong("{{ env.HOME }}", &[(1, Some(4), "'env' is not defined: a template knows 'secrets'")]);
    assert_wrong("{{ include('x') }}", &[(1, Some(4), "'include' is not defined: a template knows 'secrets'")]);
    assert_wrong("{{ secrets.a | sha }}", &[(1, Some(16), "there is no filter 'sha'")]);
    assert_wrong("{{ secrets.a is good }}", &[(1, Some(17), "there is no test 'good'")]);
}

#[test]
fn parts_are_certificates() {
    let of_one = "the secret 'a' is one value, it has no parts";
    assert_wrong("{{ secrets['a'].key }}{{ secrets.a.upper() }}", &[(1, Some(4), of_one), (1, Some(26), of_one)]);
    let parts = "fullchain, leaf, chain, key, bundle, ca";
    let bare = format!("the secret 'web' is a certificate: name one of its parts, {parts}");
    assert_wrong("{{ secrets['web'] }}{{ secrets.web.pem }}", &[(1, Some(4), &bare), (1, Some(24), &bare)]);
    let pfx = format!("the secret 'web' has no text in its part 'pfx': name one of {parts}");
    assert_wrong("{{ secrets['web'].pfx }}", &[(1, Some(4), &pfx)]);
    assert!(
        Template::parse("t".to_owned(), "{{ secrets['broken'].x }}".to_owned(), Escape::None, &holds).is_ok(),
        "what is wrong elsewhere is told there"
    );
}

#[test]
fn what_cannot_be_read_is_told_by_its_line() {
    for (text, line) in [
        ("{{ secrets['a'", 1),
        ("\n\n{% if %}", 3),
        ("\n{% for x in y %}", 2),
        ("{% endif %}", 1),
        ("a\n{% include 'x' %}", 2),
        ("a\n{% macro m() %}{% endmacro %}", 2),
        ("{% extends 'x' %}", 1),
        ("{% import 'x' as y %}", 1),
        ("\n{{ 'a }}", 2),
    ] {
        let wrong = Template::parse("t".to_owned(), text.to_owned(), Escape::None, &holds).unwrap_err();
        assert_eq!((wrong.len(), wrong[0].line), (1, line), "{text:?}: {wrong:?}");
    }
    let long = "x".repeat((1 << 20) + 1);
    assert_wrong(&long, &[(1, None, "a template has at most 1 MiB")]);
}

#[test]
fn what_it_uses_is_known_without_any_value() {
    let template = template(
        "{% if secrets['a'] is defined %}{{ secrets.b }}{% else %}{{ secrets['web'].key }}{{ secrets.a }}{% endif %}",
        Escape::None,
    );
    let uses: Vec<String> = template.uses().map(|(secret, part)| format!("{secret}.{}", part.name())).collect();
    assert_eq!(uses, ["a.value", "b.value", "web.key", "a.value"]);
}

/// Deeper than the engine can follow, if it were let.
#[test]
fn what_is_nested_without_end_is_refused() {
    let links = [
        ("{{ ", "(", "1", ")", " }}"),
        ("{{ 1", " ~ 1", "", "", " }}"),
        ("{{ 1", " ** 1", "", "", " }}"),
        ("{{ 1", " and 1", "", "", " }}"),
        ("{{ 1", "|string", "", "", " }}"),
        ("{{ secrets.a", "[0]", "", "", " }}"),
        ("{{ 1", ".a", "", "", " }}"),
        ("{{ 1", "()", "", "", " }}"),
        ("{{ 1", " is true", "", "", " }}"),
        ("{{ 1", " if 1 else 1", "", "", " }}"),
        ("{{ ", "not ", "1", "", " }}"),
        ("{{ ", "-", "1", "", " }}"),
        ("{{ ", "[", "", "]", " }}"),
        ("{{ ", "{1:", "1", "}", " }}"),
        ("", "{% if 1 %}", "", "{% endif %}", ""),
        ("", "{% for x in [1] %}", "", "{% endfor %}", ""),
        ("{% if 1 %}", "{% elif 1 %}", "", "", "{% endif %}"),
        ("", "{% filter upper %}", "", "{% endfilter %}", ""),
        ("{% filter upper", "|upper", "", "", " %}{% endfilter %}"),
    ];
    for (begin, link, middle, close, end) in links {
        let nested = |times| format!("{begin}{}{middle}{}{end}", link.repeat(times), close.repeat(times));
        let parse = |text| Template::parse("t".to_owned(), text, Escape::None, &holds);
        // As deep as it goes, and it holds.
        if let Some(template) = (1..500).rev().find_map(|times| parse(nested(times)).ok()) {
            drop(template.render(&values([("a", "1")])));
        }
        let wrong = parse(nested(20_000)).unwrap_err();
        assert_eq!(wrong.len(), 1, "{link}: {wrong:?}");
    }
    // A value that grows from statement to statement: as deep as it goes, it is made and dropped without harm.
    for (begin, link, end) in [
        ("{% set x = [] %}", "{% set x = [x] %}", ""),
        ("{% set x = [] %}", "{% set x = {1: x} %}", ""),
        ("{% set x = [] %}", "{% set x = (x, 1) %}", ""),
        ("{% set x = [1] %}", "{% set x = x | batch(1) %}", ""),
        ("{% set x = [] %}", "{% for x in [[[x]]] %}{% for x in [[[x]]] %}", "{% endfor %}{% endfor %}"),
        ("{% set x = [] %}", "{% with x = [[[[[[[[x]]]]]]]] %}", "{% endwith %}"),
    ] {
        let grown = |times| format!("{begin}{}{}", link.repeat(times), end.repeat(times));
        let parse = |text| Template::parse("t".to_owned(), text, Escape::None, &holds);
        let template = (1..1000).rev().find_map(|times| parse(grown(times)).ok()).unwrap();
        template.render(&values([("a", "1")])).unwrap();
        assert_eq!(parse(grown(20_000)).unwrap_err().len(), 1, "{link}");
    }
    let set = Template::parse("t".to_owned(), "{% set x = secrets.a %}".repeat(20_000), Escape::None, &holds);
    assert!(set.is_ok(), "what wraps nothing does not grow");
    let wide = "{{ secrets.a }}{% if secrets.a %}x{% endif %}".repeat(20_000);
    assert!(Template::parse("t".to_owned(), wide, Escape::None, &holds).is_ok(), "wide is not deep");
}

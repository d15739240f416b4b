//! Env files, read back by a reader that knows nothing of the writer.

use super::*;

/// Reads an env file as the kubelet of Kubernetes 1.36 does.
fn read_back(file: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let text = std::str::from_utf8(file).map_err(|error| error.to_string())?;
    let mut lines = text.split_inclusive('\n').map(|line| {
        let line = line.strip_suffix('\n').unwrap_or(line);
        (line.len() < 65536).then_some(line.strip_suffix('\r').unwrap_or(line)).ok_or("a line is too long")
    });
    let mut variables = BTreeMap::new();
    while let Some(line) = lines.next() {
        let line = line?.trim_start_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, rest) = line.split_once('=').ok_or("there is no =")?;
        let mut rest = rest.strip_prefix('\'').ok_or("there is no quote")?;
        let mut value = String::new();
        let after = loop {
            if let Some((end, after)) = rest.split_once('\'') {
                value.push_str(end);
                break after;
            }
            value.push_str(rest);
            value.push('\n');
            rest = lines.next().ok_or("the quote is not closed")??;
        };
        let after = after.trim_start_matches([' ', '\t']);
        if !after.is_empty() && !after.starts_with('#') {
            return Err("something comes after the quote".to_owned());
        }
        variables.insert(name.to_owned(), value);
    }
    Ok(variables)
}

fn env_file(values: &[(&str, &str)]) -> Result<Vec<u8>, String> {
    let variables = values.iter().map(|(name, value)| (*name, SecretValue::new(value.as_bytes().to_vec()))).collect();
    env_file::write(&variables).map(|file| file.expose().to_vec()).map_err(|failure| failure.to_string())
}

#[test]
fn values_stand_for_themselves() {
    let values = [
        ("A", ""),
        ("BACKSLASH", "\\n\\"),
        ("CR", "a\rb\r"),
        ("DOLLAR", "$HOME ${X} $(id) `id` !1 \"x\" %41"),
        ("LINES", "one\n\n  two\n# three\nFOUR="),
        ("SPACES", "  \t x  "),
        ("UNICODE", "pässwörd ☃ \u{feff}\u{85}\u{2028}"),
    ];
    let file = env_file(&values).unwrap();
    let expected = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(read_back(&file).unwrap(), BTreeMap::from(expected));
    assert_eq!(env_file(&[("B", "2"), ("A", "1\n")]).unwrap(), b"A='1\n'\nB='2'\n", "in the order of the names");
    assert_eq!(env_file(&[]).unwrap(), b"");
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    let quote = "a value with a single quote cannot be written to an env file, which has no escape for it";
    let nul = "a value with a NUL character cannot be the value of a variable";
    let end = "a value with a carriage return before a line feed does not come whole out of an env file";
    let line = "Kubernetes reads no line of more than 64 KiB in an env file: let the application read a file";
    let long = "a variable of more than 128 KiB keeps a process from starting: let it read a file";
    let x = |length: usize| "x".repeat(length);
    let two_lines = |length: usize| format!("{}\n{}", x(length / 2), x(length - length / 2 - 1));
    let table = [
        ("it's".to_owned(), Some(quote)),
        ("\0".to_owned(), Some(nul)),
        ("a\r\nb".to_owned(), Some(end)),
        (x(65535 - 4), None),
        (x(65535 - 3), Some(line)),
        (two_lines(131_071 - 2 - 10), None),
        (two_lines(131_071 - 2 + 1), Some(long)),
    ];
    for (value, reason) in table {
        let file = env_file(&[("A", &value), ("B", "fine")]);
        match reason {
            None => assert_eq!(read_back(&file.unwrap()).unwrap()["A"], value),
            Some(reason) => assert_eq!(file, Err(format!("env.A: {reason}"))),
        }
    }
    let both = env_file(&[("A", "cAnAry'"), ("B", "cAnAry\0")]);
    assert_eq!(both, Err(format!("env.A: {quote}; env.B: {nul}")));
    let many: Vec<(String, String)> = (0..80).map(|number| (format!("V{number:02}"), x(60_000))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(env_file(&many), Err("the env file would be longer than 4 MiB".to_owned()));
}

#[test]
fn variables_are_secrets_parts_and_templates() {
    let web = Secret {
        version: Version::Unversioned,
        parts: BTreeMap::from([(Part::Key, SecretValue::new(b"KEY".to_vec()))]),
        missing: BTreeMap::new(),
    };
    let mut all = values([("a", "1"), ("b", "it's"), ("c", "x y")]);
    all.insert(name("web"), Arc::new(web));
    let secret = |secret, part| Variable::Secret { secret: name(secret), part };
    let mut variables = Variables(BTreeMap::from([
        ("A".to_owned(), secret("a", Part::Value)),
        ("AGAIN".to_owned(), secret("a", Part::Value)),
        ("ABSENT".to_owned(), secret("d", Part::Value)),
        ("KEY".to_owned(), secret("web", Part::Key)),
        ("URL".to_owned(), Variable::Template(template("x://{{ secrets['c'] | urlencode }}", Escape::None))),
    ]));
    let file = env_file::write(&variables.values(&all).unwrap()).unwrap();
    assert_eq!(file.expose(), b"A='1'\nAGAIN='1'\nKEY='KEY'\nURL='x://x%20y'\n", "what is absent is not set");
    // Variables that are no env file's hold what they hold.
    variables.0.insert("B".to_owned(), secret("b", Part::Value));
    assert_eq!(variables.values(&all).unwrap()["B"].expose(), b"it's");
    variables.0.insert("C".to_owned(), Variable::Template(template("{{ secrets['d'] }}", Escape::None)));
    all.insert(name("a"), plain(b"\xff"));
    let not_text = "the secret 'a' is not UTF-8 text, so it cannot be part of one";
    let absent = "the secret 'd' is not there: ask before, {% if secrets['d'] is defined %}, or leave it out";
    let told = variables.values(&all).unwrap_err().to_string();
    assert_eq!(told, format!("env.A: {not_text}; env.AGAIN: {not_text}; /t.j2:1: {absent}"));
}

#[test]
fn a_template_of_an_env_file_keeps_values_between_its_quotes() {
    let of = |value: &str| {
        let template = template("A='{{ secrets.a }}'\n", Escape::EnvFile);
        let file = template.render(&values([("a", value)])).map_err(|failure| failure.to_string())?;
        read_back(file.expose()).map(|mut variables| variables.remove("A").unwrap())
    };
    for value in ["", "$x \"y\" \\", "one\ntwo\nB=3"] {
        assert_eq!(of(value), Ok(value.to_owned()));
    }
    for value in ["'\nB='x", "\0", "\r\n"] {
        assert!(of(value).unwrap_err().starts_with("/t.j2:1: a value with a "), "{value:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_comes_back(values in prop::collection::btree_map("[A-Z_][A-Z0-9_]{0,8}", "(\\PC|[\\x00-\\x1f'\"$`\\\\=# \r\n]){0,40}", 0..8)) {
        let written = env_file(&values.iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>());
        let is_refused = |value: &String| value.contains(['\'', '\0']) || value.contains("\r\n");
        prop_assert_eq!(written.is_err(), values.values().any(is_refused));
        if let Ok(file) = written {
            prop_assert_eq!(read_back(&file).unwrap(), values);
        }
    }
}

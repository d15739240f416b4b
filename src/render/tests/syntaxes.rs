use std::collections::BTreeMap;
use std::process::Command;

use proptest::prelude::*;

use crate::render::Syntax;
use crate::secret::SecretValue;

fn written(syntax: Syntax, value: &[u8]) -> Result<String, String> {
    let variables =
        BTreeMap::from([("A", SecretValue::new(b"first".to_vec())), ("NAME", SecretValue::new(value.to_vec()))]);
    let written = syntax.write(&variables).map_err(|failure| failure.to_string())?;
    Ok(String::from_utf8(written.expose().to_vec()).unwrap())
}

#[test]
fn each_syntax_has_its_quotes() {
    let cases = [
        (Syntax::Dotenv, "p@ss $1 #x", "A='first'\nNAME='p@ss $1 #x'\n"),
        (Syntax::Dotenv, "it's", "A='first'\nNAME=\"it's\"\n"),
        (Syntax::Dotenv, "two\nlines", "A='first'\nNAME='two\nlines'\n"),
        (Syntax::Dotenv, "C:\\dir\\file", "A='first'\nNAME='C:\\dir\\file'\n"),
        (Syntax::Dotenv, "", "A='first'\nNAME=''\n"),
        (Syntax::Sh, "it's `id` $(id)", "export A='first'\nexport NAME='it'\\''s `id` $(id)'\n"),
        (Syntax::Json, "\"\\\n", "{\"A\":\"first\",\"NAME\":\"\\\"\\\\\\n\"}\n"),
        (Syntax::EnvFile, "v", "A='first'\nNAME='v'\n"),
    ];
    for (syntax, value, expected) in cases {
        assert_eq!(written(syntax, value.as_bytes()).as_deref(), Ok(expected), "{syntax:?}");
    }
}

#[test]
fn what_cannot_be_expressed_is_refused_by_name_and_never_shown() {
    let all = [Syntax::Dotenv, Syntax::Sh, Syntax::Json, Syntax::EnvFile];
    for value in [&b"canary\0"[..], b"canary\xff"] {
        for syntax in all {
            let reason = written(syntax, value).unwrap_err();
            assert!(reason.starts_with("env.NAME: ") && !reason.contains("canary"), "{reason}");
        }
    }
    for value in
        ["it's \"canary\"", "canary\\", "canary\\\\x", "${canary}", "a$canary", "canary\r\n", "'$canary'", "'`canary'"]
    {
        let reason = written(Syntax::Dotenv, value.as_bytes()).unwrap_err();
        assert!(reason.contains("-o json or sh") && !reason.contains("canary"), "{reason}");
        assert!(written(Syntax::Sh, value.as_bytes()).is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_shell_and_a_json_reader_get_the_same(value in "[^\0]{0,40}") {
        let script = format!("{}printf %s \"$NAME\"", written(Syntax::Sh, value.as_bytes()).unwrap());
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        prop_assert_eq!(output.stdout, value.as_bytes());
        let json: BTreeMap<String, String> = serde_json::from_str(&written(Syntax::Json, value.as_bytes()).unwrap()).unwrap();
        prop_assert_eq!(&json["NAME"], &value);
    }
}

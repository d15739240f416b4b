use super::*;

/// `name`, its value if it is set, and for what a token goes into the editions of the rest.
fn given(variables: &[(&str, Option<&str>, Option<&str>)]) -> Given {
    let one = |(name, value, token): &(&str, Option<&str>, Option<&str>)| {
        let value = value.map(|value| SecretValue::new(value.as_bytes().to_vec()));
        ((*name).to_owned(), One { value, token: token.map(str::to_owned) })
    };
    Given(variables.iter().map(one).collect())
}

#[test]
fn what_has_come_gone_or_changed_is_named_and_a_token_that_is_made_anew_is_not() {
    let a = ("A", Some("1"), None);
    let (t, b) = (("T", Some("t1"), Some("")), ("B", Some("t1:x"), Some("x=v1")));
    let before = given(&[a, t, b, ("O", None, None)]);
    for (now, expected) in [
        (given(&[a, ("T", Some("t2"), Some("")), ("B", Some("t2:x"), Some("x=v1"))]), &[][..]),
        (given(&[("A", Some("2"), None), t, b]), &["A"]),
        (given(&[t, b]), &["A"]),
        (given(&[("A", None, None), t, b]), &["A"]),
        (given(&[a, ("N", Some("n"), None), t, b]), &["N"]),
        (given(&[a, ("O", Some("o"), None), t, b]), &["O"]),
        (given(&[a, t, ("B", Some("t1:y"), Some("x=v2"))]), &["B"]),
        // A token that goes, or comes, is another environment.
        (given(&[a, b]), &["T"]),
    ] {
        assert_eq!(before.difference(&now).into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(now.difference(&before).into_iter().collect::<Vec<_>>(), expected);
    }
}

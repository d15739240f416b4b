use super::*;

fn given(set: &[(&str, &str)], of_tokens: &[&str], beside: &[(&str, &str)]) -> Given {
    let text = |text: &str| text.to_owned();
    Given {
        set: set.iter().map(|(name, value)| (text(name), SecretValue::new(value.as_bytes().to_vec()))).collect(),
        unset: BTreeSet::new(),
        of_tokens: of_tokens.iter().map(|name| text(name)).collect(),
        beside_tokens: beside.iter().map(|(name, edition)| (text(name), text(edition))).collect(),
    }
}

#[test]
fn what_has_come_gone_or_changed_is_named_and_a_token_is_not() {
    let before = given(&[("A", "1"), ("T", "t1"), ("B", "t1:x")], &["T", "B"], &[("x", "v1")]);
    for (now, expected) in [
        (given(&[("A", "1"), ("T", "t2"), ("B", "t2:x")], &["T", "B"], &[("x", "v1")]), &[][..]),
        (given(&[("A", "2"), ("T", "t1"), ("B", "t1:x")], &["T", "B"], &[("x", "v1")]), &["A"]),
        (given(&[("T", "t1"), ("B", "t1:x")], &["T", "B"], &[("x", "v1")]), &["A"]),
        (given(&[("A", "1"), ("N", "n"), ("T", "t1"), ("B", "t1:x")], &["T", "B"], &[("x", "v1")]), &["N"]),
        (given(&[("A", "1"), ("T", "t1"), ("B", "t1:y")], &["T", "B"], &[("x", "v2")]), &["x"]),
        // A variable that was a token's is another one now.
        (given(&[("A", "1"), ("T", "t1"), ("B", "t1:x")], &["B"], &[("x", "v1")]), &["T"]),
    ] {
        assert_eq!(before.difference(&now).into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(now.difference(&before).into_iter().collect::<Vec<_>>(), expected);
    }
}

use super::*;
use crate::reference::{Collection, IdentityName, ObjectName, VaultHost};

fn secret(vault: &str, number: usize, version: Option<&str>) -> Object {
    Object::Vault {
        identity: IdentityName("default".to_owned()),
        vault: VaultHost(format!("{vault}.vault.azure.net")),
        collection: Collection::Secret,
        name: ObjectName::parse(&format!("s{number}")).unwrap(),
        version: version.map(|version| crate::reference::VersionId::parse(version).unwrap()),
    }
}

fn costs(objects: impl IntoIterator<Item = (Object, Duration)>, list: List) -> Vec<(String, u64, u64)> {
    let plan = Plan { objects: objects.into_iter().collect(), list, ..Plan::default() };
    daily(&plan).into_iter().map(|daily| (daily.of, daily.fewest, daily.most)).collect()
}

const QUARTER: Duration = Duration::from_mins(15);

#[test]
fn a_hundred_secrets_cost_four_requests_a_cycle_or_a_hundred() {
    let hundred = || (0..100).map(|number| (secret("a", number, None), QUARTER));
    let entra = ("Entra".to_owned(), 1, 24);
    let vault = |fewest, most| ("a.vault.azure.net".to_owned(), fewest, most);
    assert_eq!(costs(hundred(), List::Auto), [entra.clone(), vault(96 * 4 + 300, 9600)]);
    assert_eq!(costs(hundred(), List::Never), [entra.clone(), vault(9600, 9600)]);
    assert_eq!(costs([(secret("a", 0, None), QUARTER)], List::Auto), [entra.clone(), vault(96, 96)]);
    let pinned = secret("a", 0, Some("0123456789abcdef0123456789abcdef"));
    assert_eq!(costs([(pinned, QUARTER)], List::Auto), [entra, vault(96, 96)]);
}

#[test]
fn no_interval_is_too_long_or_too_short() {
    let files = [(Object::File("/a".into()), QUARTER)];
    assert_eq!(costs(files, List::Auto), []);
    let week = costs([(secret("a", 0, None), Duration::from_hours(168))], List::Auto);
    assert_eq!(week[1], ("a.vault.azure.net".to_owned(), 1, 1));
    let none = costs([(secret("a", 0, None), Duration::ZERO)], List::Auto);
    assert_eq!(none[1].2, 86_400);
}

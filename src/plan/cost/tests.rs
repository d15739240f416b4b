use super::*;
use crate::reference::{Collection, ConnectionName, ObjectName, Scope, VaultHost, VersionId, Workspace};

fn who() -> IdentityName {
    IdentityName("default".to_owned())
}

fn secret(vault: &str, number: usize, version: Option<&str>) -> Object {
    Object::Vault {
        identity: who(),
        vault: VaultHost(format!("{vault}.vault.azure.net")),
        collection: Collection::Secret,
        name: ObjectName::parse(&format!("s{number}")).unwrap(),
        version: version.map(|version| VersionId::parse(version).unwrap()),
    }
}

fn secrets(count: usize, interval: Duration) -> impl Iterator<Item = (Object, Duration)> {
    (0..count).map(move |number| (secret("a", number, None), interval))
}

fn connection(name: &str) -> Object {
    let workspace = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/ml/providers/\
        Microsoft.MachineLearningServices/workspaces/prod";
    let (workspace, name) = (Workspace::parse_id(workspace).unwrap(), ConnectionName::parse(name).unwrap());
    Object::Connection { identity: who(), workspace, name }
}

fn costs(objects: impl IntoIterator<Item = (Object, Duration)>, list: List) -> Vec<(String, u64, u64)> {
    shown(&Plan { objects: objects.into_iter().collect(), list, ..Plan::default() }, 0)
}

fn shown(plan: &Plan, scopes: usize) -> Vec<(String, u64, u64)> {
    daily(plan, scopes).into_iter().map(|daily| (daily.of, daily.fewest, daily.most)).collect()
}

fn vault(fewest: u64, most: u64) -> (String, u64, u64) {
    ("a.vault.azure.net".to_owned(), fewest, most)
}

fn tokens(fewest: u64, most: u64) -> (String, u64, u64) {
    (TOKENS.to_owned(), fewest, most)
}

const QUARTER: Duration = Duration::from_mins(15);
const HOUR: Duration = Duration::from_hours(1);

/// What an hour's token costs: it is made anew after 45 minutes.
const HOURLY: u64 = 32;

#[test]
fn a_list_is_counted_where_the_schedule_would_read_it() {
    // How many objects, how often, and what a day of them costs at the least and at the most.
    let table = [
        (1, QUARTER, 96, 96),
        // One page and 2.4 GETs for each.
        (2, QUARTER, 96 + 4, 192),
        (25, QUARTER, 96 + 60, 2400),
        (26, QUARTER, 192 + 62, 2496),
        (100, QUARTER, 96 * 4 + 240, 9600),
        (100, HOUR, 24 * 4 + 240, 2400),
        // So seldom that each is read again anyway.
        (100, Duration::from_hours(12), 200, 200),
    ];
    for (objects, interval, fewest, most) in table {
        assert_eq!(costs(secrets(objects, interval), List::Auto)[0], vault(fewest, most), "{objects} {interval:?}");
        assert_eq!(costs(secrets(objects, interval), List::Never)[0], vault(most, most), "{objects} {interval:?}");
    }
}

#[test]
fn what_no_list_shows_is_asked_for_each_time() {
    let versions = ["0123456789abcdef0123456789abcdef", "1123456789abcdef0123456789abcdef"];
    let pinned = versions.map(|version| (secret("a", 0, Some(version)), QUARTER));
    assert_eq!(costs(pinned, List::Auto)[0], vault(192, 192));
    // Of two intervals each has slots of its own, and lists.
    let mixed = secrets(2, QUARTER).chain((2..4).map(|number| (secret("a", number, None), HOUR)));
    assert_eq!(costs(mixed, List::Auto)[0], vault(96 + 4 + 24 + 4, 2 * 96 + 2 * 24));
}

#[test]
fn whoever_asks_signs_in_but_not_more_often_than_it_asks() {
    assert_eq!(costs(secrets(1, QUARTER), List::Auto)[1], tokens(1, HOURLY));
    assert_eq!(costs(secrets(1, HOUR), List::Auto)[1], tokens(1, 24));
    assert_eq!(costs(secrets(1, Duration::from_hours(168)), List::Auto)[1], tokens(1, 1));
    let both = [(connection("a"), HOUR), (connection("b"), HOUR), (secret("a", 0, None), QUARTER)];
    let expected = [(RESOURCE_MANAGER.to_owned(), 48, 48), vault(96, 96), tokens(2, 24 + HOURLY)];
    assert_eq!(costs(both, List::Auto), expected);
}

#[test]
fn tokens_are_made_anew_by_their_own_lives() {
    let scope = Scope::parse("https://cognitiveservices.azure.com/.default").unwrap();
    let token = Object::Token { identity: who(), scope };
    assert_eq!(costs([(token, QUARTER)], List::Auto), [tokens(1, HOURLY)]);
    // What is given to callers costs nothing while nobody calls.
    assert_eq!(shown(&Plan::default(), 2), [tokens(0, 2 * HOURLY)]);
    assert_eq!(shown(&Plan::default(), 0), []);
}

#[test]
fn files_and_what_stands_by_cost_nothing() {
    assert_eq!(costs([(Object::File("/a".into()), QUARTER)], List::Auto), []);
    let standby = secret("b", 0, None);
    let objects = BTreeMap::from([(secret("a", 0, None), QUARTER), (standby.clone(), QUARTER)]);
    let plan = Plan { objects, standbys: [standby].into(), ..Plan::default() };
    assert_eq!(shown(&plan, 0), [vault(96, 96), tokens(1, HOURLY)]);
}

#[test]
fn no_interval_is_too_long_or_too_short() {
    let week = costs(secrets(1, Duration::from_hours(168)), List::Auto);
    assert_eq!(week[0], vault(1, 1));
    let none = costs(secrets(1, Duration::ZERO), List::Auto);
    assert_eq!(none[0], vault(86_400, 86_400));
    assert_eq!(costs(secrets(3, Duration::MAX), List::Auto)[0], vault(3, 3));
}

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::extract::Cut;
use crate::plan::{Content, Wanted};
use crate::reference::{Object, Reference};
use crate::secret::{Part, Version};

fn name(name: &str) -> SecretName {
    SecretName::parse(name).unwrap()
}

fn plan(names: &[&str]) -> Plan {
    let mut plan = Plan::default();
    let mut files = BTreeMap::new();
    for text in names {
        let object = Object::File(format!("/{text}").into());
        let reference = Reference::parse(&format!("file:/{text}")).unwrap();
        plan.objects.insert(object.clone(), Duration::from_mins(1));
        plan.names.insert(name(text), Wanted { reference, object, standby: None, cut: Cut::default(), required: true });
        files.insert(text.into(), Content::Secret { secret: name(text), part: Part::Value });
    }
    plan.layouts = Arc::new(BTreeMap::from([("/dir".into(), files)]));
    plan
}

fn secret(value: &str) -> Secret {
    Secret::plain(Version::Unversioned, SecretValue::new(value.as_bytes().to_vec()))
}

fn advance(plan: &Plan, holdings: &Holdings, previous: Option<&Snapshot>) -> (Arc<Snapshot>, Vec<String>) {
    match merge(plan, holdings, previous) {
        Merged::Advanced { next, changed } => (next, changed.iter().map(ToString::to_string).collect()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_waits_until_everybody_has_been_heard_of() {
    let plan = plan(&["a", "b", "c"]);
    let mut holdings = Holdings::default();
    assert!(holdings.hold(&name("a"), secret("1")));
    assert!(holdings.failed(&name("b")));
    assert!(matches!(merge(&plan, &holdings, None), Merged::Incomplete));
    assert!(holdings.absent(&name("c")));
    let (first, changed) = advance(&plan, &holdings, None);
    assert_eq!((first.generation, changed), (Generation(1), vec!["a".to_owned()]));
    let files = first.files(Path::new("/dir"));
    assert!(matches!(files[Path::new("a")], FileContent::Bytes(value) if value.expose() == b"1"));
    assert!(matches!(files[Path::new("b")], FileContent::AsItIs), "an earlier run's file stays");
    assert!(!files.contains_key(Path::new("c")), "an absent one's does not");
    assert!(first.files(Path::new("/other")).is_empty());
}

#[test]
fn later_nobody_is_waited_for_and_good_values_stay() {
    let plan = plan(&["a", "b"]);
    let mut holdings = Holdings::default();
    holdings.hold(&name("a"), secret("1"));
    holdings.failed(&name("b"));
    let (first, _) = advance(&plan, &holdings, None);
    assert!(matches!(merge(&plan, &holdings, Some(&first)), Merged::Unchanged));
    assert!(!holdings.failed(&name("a")) && !holdings.absent(&name("a")), "nothing takes a good value away");
    assert!(!holdings.hold(&name("a"), secret("1")), "the same bytes move nothing");
    assert!(matches!(merge(&plan, &holdings, Some(&first)), Merged::Unchanged));
    assert!(holdings.hold(&name("a"), secret("2")));
    let (second, changed) = advance(&plan, &holdings, Some(&first));
    assert_eq!((second.generation, changed), (Generation(2), vec!["a".to_owned()]));
    holdings.hold(&name("b"), secret(""));
    let (third, changed) = advance(&plan, &holdings, Some(&second));
    assert_eq!((third.generation, changed), (Generation(3), vec!["b".to_owned()]));
}

proptest! {
    #[test]
    fn it_advances_if_and_only_if_something_differs(steps in prop::collection::vec((0..3usize, 0..4u8), 1..60)) {
        let names = ["a", "b", "c"];
        let plan = plan(&names);
        let mut holdings = Holdings::default();
        let mut previous: Option<Arc<Snapshot>> = None;
        for (who, what) in steps {
            let who = name(names[who]);
            let moved = match what {
                0 => holdings.failed(&who),
                1 => holdings.absent(&who),
                value => holdings.hold(&who, secret(&value.to_string())),
            };
            match merge(&plan, &holdings, previous.as_deref()) {
                Merged::Incomplete => prop_assert!(previous.is_none()),
                Merged::Unchanged => prop_assert!(!moved),
                Merged::Advanced { next, .. } => {
                    prop_assert!(moved);
                    prop_assert_eq!(next.generation, previous.as_ref().map_or(Generation(1), |p| p.generation.next()));
                    previous = Some(next);
                }
            }
        }
    }
}

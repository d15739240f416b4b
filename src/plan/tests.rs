use super::*;
use crate::config::{Settings, load};

fn plan_of(text: &str) -> Plan {
    let settings = Settings {
        name: "test".to_owned(),
        text: text.to_owned(),
        environment: &BTreeMap::new(),
        allow_custom_cloud: false,
    };
    plan(&load(&settings).unwrap())
}

#[test]
fn one_object_for_many_names_asked_for_as_often_as_the_keenest_wants() {
    let plan = plan_of(
        "
secrets:
  a: {from: file:/etc/hostname, refresh: 1h}
  b: {from: file:/etc/hostname, property: x, refresh: 5m, optional: true}
  c: file:/etc/hosts
",
    );
    let hostname = Object::File("/etc/hostname".into());
    assert_eq!(plan.objects.get(&hostname), Some(&Duration::from_mins(5)));
    assert_eq!(plan.objects.len(), 2);
    let b = &plan.names[&SecretName::parse("b").unwrap()];
    assert_eq!((&b.object, b.required, b.cut.property.as_deref()), (&hostname, false, Some("x")));
}

#[test]
fn each_directory_has_its_own_layout() {
    let plan = plan_of(
        "
secrets:
  a: file:/a
  b: {from: file:/b, file: sub/b}
  c: {from: file:/c, file: false}
files:
  - {dir: /run/one}
  - {dir: /run/two, include: [b]}
",
    );
    let files =
        |dir: &str| plan.layouts[&PathBuf::from(dir)].keys().map(|path| path.display().to_string()).collect::<Vec<_>>();
    assert_eq!(files("/run/one"), ["a", "sub/b"]);
    assert_eq!(files("/run/two"), ["sub/b"]);
}

use super::*;
use crate::config::{Settings, load};

fn plan_of(text: &str) -> Plan {
    let settings = Settings {
        name: "test".to_owned(),
        text: text.to_owned(),
        environment: &BTreeMap::new(),
        allow_custom_cloud: false,
        read: |_| Err(String::new()),
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

#[test]
fn what_is_made_of_several_is_a_file_like_any_other() {
    let plan = plan_of(
        "
vaults: {main: {url: https://contoso.vault.azure.net}}
identity: {azureCli: {}}
secrets:
  a: file:/a
  web: {from: keyvault:main/certificates/web, file: false}
  other: keyvault:main/certificates/other
  alone: {from: keyvault:main/certificates/alone, file: false}
env: {KEY: {secret: web, part: key}}
files: {dir: /run/one, include: [a, other], envFile: app.env}
templates:
  - {dir: /run/one, destination: sub/t, contents: \"{{ secrets['web'].leaf }}{{ secrets.other.ca }}\"}
",
    );
    let layout = &plan.layouts[&PathBuf::from("/run/one")];
    let files: Vec<_> = layout.keys().map(|path| path.display().to_string()).collect();
    assert_eq!(files, ["a", "app.env", "other/tls.crt", "other/tls.key", "sub/t"]);
    assert!(
        matches!(&layout[&PathBuf::from("sub/t")], Content::Rendered { recipe, .. } if recipe.secrets().len() == 2)
    );
    // What it takes of a certificate is cut out, and nothing that nobody wants.
    let parts = |name: &str| plan.names[&SecretName::parse(name).unwrap()].cut.parts.clone();
    assert_eq!(parts("web"), BTreeSet::from([Part::Leaf, Part::Key]));
    assert_eq!(parts("other"), BTreeSet::from([Part::Fullchain, Part::Key, Part::Ca]));
    assert_eq!(parts("alone"), BTreeSet::from([Part::Bundle]));
}

#[test]
fn lists_are_asked_unless_the_user_says_never() {
    assert_eq!(plan_of("secrets: {a: file:/a}").list, List::Auto);
    for (text, list) in [("auto", List::Auto), ("never", List::Never)] {
        assert_eq!(plan_of(&format!("refresh: {{list: {text}}}\nsecrets: {{a: file:/a}}")).list, list);
    }
}

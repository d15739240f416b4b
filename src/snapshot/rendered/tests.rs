//! What becomes of a file that is made of several values while these come, go, change and fail.

use std::path::Path;

use super::*;
use crate::config::{Settings, load};
use crate::plan::{Plan, plan};
use crate::secret::{Part, Secret, Version};
use crate::snapshot::{Holdings, Merged, merge};

const CONFIG: &str = "
secrets: {a: file:/a, b: file:/b, c: {from: file:/c, optional: true}}
env: {A: {secret: a}, C: {secret: c}}
files:
  - {dir: /one, envFile: app.env}
  - {dir: /two, include: []}
templates:
  - {dir: /two, destination: both, contents: \"{{ secrets.a }} {{ secrets.b }}\"}
  - {dir: /two, destination: guarded, contents: \"{{ secrets.c | default('-') }}\"}
  - {dir: /two, destination: unguarded, contents: \"{{ secrets.c }}\"}
";

/// What is held, and what was made of it last.
struct Stage {
    plan: Plan,
    holdings: Holdings,
    last: Option<Arc<Snapshot>>,
}

fn name(name: &str) -> SecretName {
    SecretName::parse(name).unwrap()
}

impl Stage {
    fn new() -> Self {
        let settings = Settings {
            name: "test".to_owned(),
            text: CONFIG.to_owned(),
            environment: &BTreeMap::new(),
            allow_custom_cloud: false,
            read: |_| Err(String::new()),
        };
        Self { plan: plan(&load(&settings).unwrap()), holdings: Holdings::default(), last: None }
    }

    fn hold(&mut self, secret: &str, value: &str) {
        self.hold_bytes(secret, value.as_bytes());
    }

    fn hold_bytes(&mut self, secret: &str, value: &[u8]) {
        let value = Secret::plain(Version::Unversioned, SecretValue::new(value.to_vec()));
        self.holdings.hold(&name(secret), value);
    }

    #[track_caller]
    fn advance(&mut self) {
        let Merged::Advanced { next, .. } = merge(&self.plan, &self.holdings, self.last.as_deref()) else {
            panic!("nothing has moved")
        };
        self.last = Some(next);
    }

    fn file(&self, path: &str) -> &Rendered {
        &self.last.as_ref().unwrap().rendered[Path::new(path)]
    }

    /// The file's content, or what there is instead of it; and whether it failed.
    fn shown(&self, path: &str) -> (String, bool) {
        let file = self.file(path);
        let shown = match &file.made {
            Made::Bytes(value) => String::from_utf8(value.expose().to_vec()).unwrap(),
            Made::AsItIs => "(as it is)".to_owned(),
            Made::Nothing => "(nothing)".to_owned(),
        };
        let path = Path::new(path);
        let in_files = self
            .last
            .as_ref()
            .unwrap()
            .files(path.parent().unwrap())
            .contains_key(Path::new(path.file_name().unwrap()));
        assert_eq!(in_files, shown != "(nothing)", "{shown}");
        (shown, file.failure.is_some())
    }

    #[track_caller]
    fn assert_shows(&self, path: &str, shown: &str, failed: bool) {
        assert_eq!(self.shown(path), (shown.to_owned(), failed), "{path}");
    }
}

#[test]
fn it_waits_for_what_is_unknown_and_is_made_once_that_is_known() {
    let mut stage = Stage::new();
    stage.hold("a", "1");
    stage.holdings.failed(&name("b"));
    stage.holdings.failed(&name("c"));
    stage.advance();
    for path in ["/one/app.env", "/two/both", "/two/guarded", "/two/unguarded"] {
        stage.assert_shows(path, "(as it is)", false);
    }
    stage.hold("b", "2");
    stage.advance();
    stage.assert_shows("/two/both", "1 2", false);
    stage.assert_shows("/one/app.env", "(as it is)", false);
    stage.holdings.absent(&name("c"));
    stage.advance();
    stage.assert_shows("/one/app.env", "A='1'\n", false);
    stage.assert_shows("/two/guarded", "-", false);
    stage.assert_shows("/two/unguarded", "(nothing)", true);
    stage.hold("c", "3");
    stage.advance();
    stage.assert_shows("/one/app.env", "A='1'\nC='3'\n", false);
    stage.assert_shows("/two/guarded", "3", false);
    stage.assert_shows("/two/unguarded", "3", false);
}

#[test]
fn it_is_made_anew_only_when_something_in_it_moves() {
    let mut stage = Stage::new();
    for secret in ["a", "b", "c"] {
        stage.hold(secret, "1");
    }
    stage.advance();
    let value = |stage: &Stage, path| match &stage.file(path).made {
        Made::Bytes(value) => Arc::clone(value),
        other => panic!("{other:?}"),
    };
    let before = value(&stage, "/two/both");
    stage.hold("c", "2");
    stage.advance();
    assert!(Arc::ptr_eq(&before, &value(&stage, "/two/both")));
    stage.hold("b", "2");
    stage.advance();
    stage.assert_shows("/two/both", "1 2", false);
}

#[test]
fn what_cannot_be_made_keeps_its_last_good_content() {
    let mut stage = Stage::new();
    for secret in ["a", "b", "c"] {
        stage.hold(secret, "1");
    }
    stage.advance();
    stage.hold_bytes("b", b"\xff");
    stage.hold("a", "it's");
    stage.advance();
    stage.assert_shows("/two/both", "1 1", true);
    stage.assert_shows("/one/app.env", "A='1'\nC='1'\n", true);
    stage.assert_shows("/two/guarded", "1", false);
    let last = stage.last.clone().unwrap();
    let failures: Vec<String> =
        last.failures().map(|(path, failure)| format!("{}: {failure}", path.display())).collect();
    assert_eq!(
        failures,
        [
            "/one/app.env: env.A: a value with a single quote cannot be written to an env file, which has no escape for it",
            "/two/both: templates.0.contents:1: the secret 'b' is not UTF-8 text, so it cannot be part of one",
        ]
    );
    // Again, and it is still there.
    stage.hold_bytes("b", b"\xfe");
    stage.advance();
    stage.assert_shows("/two/both", "1 1", true);
    stage.hold("b", "2");
    stage.advance();
    stage.assert_shows("/two/both", "it's 2", false);
}

#[test]
fn after_a_restart_that_is_what_the_earlier_run_made() {
    let mut stage = Stage::new();
    stage.hold_bytes("a", b"\xff");
    stage.hold("b", "1");
    stage.holdings.absent(&name("c"));
    stage.advance();
    stage.assert_shows("/two/both", "(as it is)", true);
    stage.assert_shows("/one/app.env", "(nothing)", true);
    stage.hold("b", "2");
    stage.advance();
    stage.assert_shows("/two/both", "(as it is)", true);
}

#[test]
fn a_value_that_was_taken_away_does_not_live_on_in_what_was_made_of_it() {
    let mut stage = Stage::new();
    for secret in ["a", "b", "c"] {
        stage.hold(secret, "1");
    }
    stage.advance();
    stage.holdings.revoke(&name("b"));
    stage.advance();
    stage.assert_shows("/two/both", "(nothing)", true);
    stage.hold("a", "2");
    stage.advance();
    stage.assert_shows("/two/both", "(nothing)", true);
    stage.hold("b", "2");
    stage.advance();
    stage.assert_shows("/two/both", "2 2", false);
    // Nor in what an earlier run made of it.
    let mut stage = Stage::new();
    stage.hold("a", "1");
    stage.holdings.failed(&name("b"));
    stage.holdings.failed(&name("c"));
    stage.advance();
    stage.holdings.revoke(&name("b"));
    stage.advance();
    stage.assert_shows("/two/both", "(nothing)", true);
}

#[test]
fn another_template_is_rendered_though_no_value_moved() {
    let mut stage = Stage::new();
    for secret in ["a", "b", "c"] {
        stage.hold(secret, "1");
    }
    stage.advance();
    let settings = Settings {
        name: "test".to_owned(),
        text: CONFIG.replace("{{ secrets.a }} {{ secrets.b }}", "{{ secrets.a }}-{{ secrets.b }}"),
        environment: &BTreeMap::new(),
        allow_custom_cloud: false,
        read: |_| Err(String::new()),
    };
    stage.plan = plan(&load(&settings).unwrap());
    stage.advance();
    stage.assert_shows("/two/both", "1-1", false);
}

#[test]
fn what_an_earlier_run_made_of_a_value_that_was_taken_away_goes_though_another_is_unknown() {
    let mut stage = Stage::new();
    stage.hold("a", "1");
    stage.holdings.failed(&name("b"));
    stage.holdings.failed(&name("c"));
    stage.advance();
    stage.assert_shows("/one/app.env", "(as it is)", false);
    stage.holdings.revoke(&name("a"));
    stage.advance();
    stage.assert_shows("/two/both", "(nothing)", false);
    stage.assert_shows("/one/app.env", "(nothing)", false);
    stage.assert_shows("/two/guarded", "(as it is)", false);
    stage.hold("a", "2");
    stage.advance();
    stage.assert_shows("/two/both", "(as it is)", false);
    stage.hold("b", "3");
    stage.advance();
    stage.assert_shows("/two/both", "2 3", false);
}

#[test]
fn a_part_that_the_value_was_not_cut_into_yet_is_unknown_and_not_missing() {
    let mut stage = Stage::new();
    let certificate = |parts: &[Part]| Secret {
        version: Version::Unversioned,
        parts: parts.iter().map(|part| (*part, SecretValue::new(part.name().into()))).collect(),
        missing: BTreeMap::new(),
    };
    let plan = |part: &str| {
        let text = format!(
            "vaults: {{v: {{url: https://contoso.vault.azure.net}}}}\nidentity: {{managed: {{}}}}\n\
             secrets: {{t: keyvault:v/certificates/t}}\nfiles: {{dir: /two}}\n\
             templates: [{{dir: /two, destination: u, contents: \"{{{{ secrets.t.{part} | default('-') }}}}\"}}]\n"
        );
        let read = |_: &Path| Err(String::new());
        let (name, environment) = ("test".to_owned(), BTreeMap::new());
        plan(&load(&Settings { name, text, environment: &environment, allow_custom_cloud: false, read }).unwrap())
    };
    stage.plan = plan("key");
    stage.holdings.hold(&name("t"), certificate(&[Part::Fullchain, Part::Key]));
    stage.advance();
    stage.assert_shows("/two/u", "key", false);
    stage.plan = plan("ca");
    stage.advance();
    stage.assert_shows("/two/u", "(as it is)", false);
    stage.holdings.hold(&name("t"), certificate(&[Part::Fullchain, Part::Key, Part::Ca]));
    stage.advance();
    stage.assert_shows("/two/u", "ca", false);
}

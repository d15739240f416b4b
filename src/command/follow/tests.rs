#![expect(clippy::disallowed_methods, reason = "tests change files")]

use std::fs;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;
use tracing::level_filters::LevelFilter;

use super::*;
use crate::logs::Format;

/// Far more than a change takes to be noticed, and less than the slow look.
const SOON: Duration = Duration::from_secs(20);

/// A configuration in a folder, as it was when it was read.
struct Desk {
    folder: TempDir,
    global: Global,
    environment: BTreeMap<String, String>,
}

impl Desk {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = Some(folder.path().join("keyferry.yaml"));
        let (log_format, log_level) = (Format::Auto, LevelFilter::INFO);
        let global = Global { config: path, allow_custom_cloud: false, log_format, log_level };
        let desk = Self { folder, global, environment: BTreeMap::new() };
        desk.write(config);
        desk
    }

    fn write(&self, config: &str) {
        let config = config.replace("{folder}", self.folder.path().to_str().unwrap());
        fs::write(self.global.config.as_ref().unwrap(), config).unwrap();
    }

    fn follower(&self) -> Follower<'_> {
        let (config, file) = start::configuration(&self.global, &self.environment).map_err(Ended::from).unwrap();
        Follower::new(config, file, (&self.global, &self.environment))
    }
}

const ONE: &str = "reloadConfig: true\nsecrets: {a: \"file:{folder}/a\"}\nfiles: {dir: /run/x}\n";

fn is_revised(event: Option<&Event>) -> bool {
    matches!(event, Some(Event::Revised(_)))
}

#[tokio::test]
async fn what_was_edited_before_the_first_look_is_not_lost() {
    let desk = Desk::new(ONE);
    let mut follower = desk.follower();
    assert!(follower.catch_up().is_none(), "nothing has changed");
    let two = ONE.replace("secrets: {", "secrets: {b: \"file:{folder}/b\", ");
    // Not told by the watch: as if it had been written before that began.
    desk.write(&two);
    assert!(is_revised(follower.catch_up().as_ref()));
    assert!(follower.catch_up().is_none());
    desk.write(&two.replace("true", "false"));
    let mut follower = desk.follower();
    desk.write(ONE);
    assert!(follower.catch_up().is_none(), "nobody has asked for it");
}

#[tokio::test]
async fn a_template_that_was_missing_is_waited_for() {
    let desk = Desk::new(ONE);
    let mut follower = desk.follower();
    desk.write(&format!("{ONE}templates: [{{dir: /run/x, destination: t, source: {{folder}}/t.j2}}]\n"));
    let configuration = follower.watch.changed().await;
    assert_eq!(configuration.len(), 1);
    assert!(follower.reload().is_none());
    let template = desk.folder.path().join("t.j2");
    for text in ["{{ secrets.nobody }}", "{{ secrets.a }}"] {
        fs::write(&template, text).unwrap();
        let mut seen = BTreeSet::new();
        while !seen.contains(&template) {
            seen.extend(timeout(SOON, follower.watch.changed()).await.unwrap());
        }
        assert!(follower.configuration().any(|file| *file == template));
        assert_eq!(is_revised(follower.reload().as_ref()), text.contains("secrets.a"), "{text}");
    }
}

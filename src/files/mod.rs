//! The files sink: a snapshot becomes a directory that changes as a whole, the way kubelet's volumes do.
//!
//! ```text
//! /run/keyferry/app/..g7-3f1c0a9be4d25786/openai/key   the generation: a directory
//! /run/keyferry/app/..data -> ..g7-3f1c0a9be4d25786    the one link that flips
//! /run/keyferry/app/openai -> ..data/openai            the names that users see
//! ```
//!
//! Knows one directory, its file system, and that its neighbours may write to it too: an `emptyDir` is open to every
//! uid of the pod. Therefore everything goes through handles of directories that were looked at after they were opened,
//! no link in it is ever followed, above it none but root's and our own, and nothing is opened, changed or removed for
//! the name it bears alone. Must not know where secrets come from, nor when to publish.

mod adopt;
mod errors;
mod generation;
mod handle;
mod history;
mod links;
mod names;
mod place;
mod sweep;
mod tamper;
mod walk;

use std::sync::Arc;
use std::time::Instant;

use crate::config::Directory;
use crate::medium::Medium;
use crate::ports::{Published, Sink, SinkError};
use crate::snapshot::Snapshot;
use errors::Trouble;
use history::History;
use place::{Place, Site};

/// How often a publish is begun when a neighbour gets in between.
const ATTEMPTS: usize = 5;

/// Publishes to one directory.
#[derive(Debug)]
pub struct FilesSink {
    settings: Directory,
    name: String,
    /// The directory, once it was opened and locked.
    place: Option<Place>,
    history: History,
}

impl FilesSink {
    /// A sink for the directory; nothing is touched before the first call.
    pub fn new(settings: &Directory) -> Self {
        // A trailing slash would make the kernel follow a link at the end of the path.
        let settings = Directory { dir: settings.dir.components().collect(), ..settings.clone() };
        Self { name: settings.dir.display().to_string(), settings, place: None, history: History::default() }
    }

    /// Looks whether it could be published to, with nothing made, changed or locked: beside whoever publishes to it.
    pub fn inspect(&self) -> Result<Medium, SinkError> {
        let site = Site::open(&self.settings)?;
        match site.find()? {
            Some(dir) => Ok(site.can_write(&dir)?),
            None => Ok(site.can_make()?),
        }
    }

    fn attempt(&mut self, snapshot: &Arc<Snapshot>, now: Instant) -> Result<Published, Trouble> {
        self.take_place()?;
        let place = match &mut self.place {
            Some(place) => place,
            empty => {
                let site = Site::open(&self.settings)?;
                let dir = site.find()?.map_or_else(|| site.make(), Ok)?;
                empty.insert(Place::take(&site, dir, &mut self.history.repaired)?)
            }
        };
        let narrower = snapshot.narrower(&self.settings.dir);
        place.rules.narrower = narrower.map(|(path, mode)| (path.into(), mode)).collect();
        self.history.publish(place, &self.settings.dir, snapshot, now)
    }

    /// Opens and locks the directory if it is there, or makes sure that the path still names the one that we hold.
    fn take_place(&mut self) -> Result<(), Trouble> {
        if let Some(place) = &mut self.place {
            if place.is_at(&self.settings.dir) {
                return place.keep_lock(&mut self.history.repaired);
            }
            self.place = None;
            self.history.forget("the directory itself was replaced: publishing to the new one");
        }
        let site = Site::open(&self.settings)?;
        if let Some(dir) = site.find()? {
            self.place = Some(Place::take(&site, dir, &mut self.history.repaired)?);
        }
        Ok(())
    }
}

impl Sink for FilesSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&mut self) -> Result<(), SinkError> {
        self.take_place()?;
        match &self.place {
            Some(place) => place.probe()?,
            None => drop(Site::open(&self.settings)?.can_make()?),
        }
        Ok(())
    }

    fn publish(&mut self, snapshot: &Arc<Snapshot>, now: Instant) -> Result<Published, SinkError> {
        let mut result = self.attempt(snapshot, now);
        for _ in 1..ATTEMPTS {
            match &result {
                Err(trouble) if trouble.is_interference() => {
                    self.history.tell("somebody else changed the directory while it was being published");
                    result = self.attempt(snapshot, now);
                }
                _ => break,
            }
        }
        Ok(result?)
    }

    fn sweep_due(&self) -> Option<Instant> {
        self.history.sweep_due()
    }

    fn sweep(&mut self, now: Instant) -> Result<(), SinkError> {
        match &self.place {
            Some(place) => Ok(self.history.sweep(place, now)?),
            None => Ok(()),
        }
    }
}

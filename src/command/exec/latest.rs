//! The newest whole that has settled, for whoever waits for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::plan::Plan;
use crate::ports::{Published, Sink, SinkError};
use crate::reference::SecretName;
use crate::snapshot::Snapshot;

/// Where the rollout publishes to.
#[derive(Debug, Default)]
pub(super) struct Latest(watch::Sender<Option<Arc<Snapshot>>>);

impl Latest {
    pub(super) fn follow(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.0.subscribe()
    }
}

impl Sink for Latest {
    fn name(&self) -> &'static str {
        "exec"
    }

    fn shows(&self, plan: &Plan) -> BTreeSet<SecretName> {
        plan.names.keys().cloned().collect()
    }

    fn check(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn publish(&mut self, snapshot: &Arc<Snapshot>, _: Instant) -> Result<Published, SinkError> {
        self.0.send_if_modified(|shown| {
            let is_new = shown.as_ref().is_none_or(|shown| shown.generation != snapshot.generation);
            if is_new {
                *shown = Some(Arc::clone(snapshot));
            }
            is_new
        });
        Ok(Published { generation: snapshot.generation.0, ..Published::default() })
    }

    fn sweep_due(&self) -> Option<Instant> {
        None
    }

    fn sweep(&mut self, _: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}

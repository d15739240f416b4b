//! What the loop does with a list that was read in place of objects: for those that it proves unchanged, the same as if
//! each had been asked for and was.

use super::Agent;
use crate::failure::{Blame, Failure, Kind};
use crate::metrics::Brought;
use crate::moment::Moment;
use crate::ports::Source;
use crate::reference::Shelf;
use crate::schedule::SurveyTicket;
use crate::survey::{End, Survey};

impl<S: Source> Agent<S> {
    pub(super) fn was_surveyed(
        &mut self,
        ticket: &SurveyTicket,
        result: &Result<Survey, Failure>,
        now: Moment,
    ) -> Brought {
        let surveyed = self.schedule.surveyed(ticket, result, now);
        for object in &surveyed.unchanged {
            // Whatever was wrong with its content would have kept it from being proven.
            self.stays(object, now);
        }
        let list = what(ticket.shelf());
        match result {
            Ok(survey) => {
                let (pages, unchanged) = (survey.pages, surveyed.unchanged.len());
                tracing::debug!(
                    pages,
                    unchanged,
                    "the list {list} shows {unchanged} objects unchanged, in {pages} pages"
                );
                if let End::Broken(failure) = &survey.end {
                    tracing::info!(
                        code = %failure.code,
                        "the list {list} cannot be read to its end, so what it has not shown is asked for by itself: {failure}"
                    );
                }
            }
            Err(failure) => tell_not_listed(ticket.shelf(), failure),
        }
        // A denial says so itself.
        let is_denied =
            matches!(result, Err(failure) if (failure.blame, failure.kind) == (Blame::Object, Kind::Denied));
        if surveyed.is_left_alone && !is_denied {
            tracing::info!(
                "the list {list} is no use at present: it is left alone, and each object is asked for by itself"
            );
        }
        self.tell_gates(surveyed.changes);
        match result {
            Ok(Survey { end: End::Broken(failure), .. }) | Err(failure) => Brought::Trouble(failure.kind),
            Ok(_) => Brought::Value,
        }
    }
}

/// A list that cannot be had takes nothing from anybody: it is no warning. What a gate is to blame for, the gate tells.
fn tell_not_listed(shelf: &Shelf, failure: &Failure) {
    let list = what(shelf);
    match (failure.blame, failure.kind) {
        (Blame::Object, Kind::Denied) => tracing::info!(
            code = %failure.code,
            "identity '{}' may not read the list {list}, so each object is asked for by itself; let it, to save requests, \
             or write 'refresh: {{list: never}}'", shelf.identity
        ),
        (Blame::Object, _) => {
            tracing::info!(code = %failure.code, "the list {list} cannot be read, so each object is asked for by itself: {failure}");
        }
        (Blame::Host | Blame::Identity, _) => tracing::debug!("the list {list} cannot be read: {failure}"),
    }
}

fn what(shelf: &Shelf) -> String {
    format!("https://{}/{}", shelf.vault, shelf.collection.segment())
}

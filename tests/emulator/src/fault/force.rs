//! The faults that are in force, and which of them strikes.

use tokio_util::sync::CancellationToken;

use super::{Fault, FaultId, Hit, Misbehaviour};

#[derive(Debug)]
struct Installed {
    id: FaultId,
    fault: Fault,
    matched: u64,
    cleared: CancellationToken,
}

impl Drop for Installed {
    fn drop(&mut self) {
        self.cleared.cancel();
    }
}

/// A fault that strikes a request.
#[derive(Debug)]
pub(crate) struct Strike {
    pub(crate) id: FaultId,
    pub(crate) misbehaviour: Misbehaviour,
    /// Cancelled when the fault is cleared.
    pub(crate) cleared: CancellationToken,
}

/// The faults in force, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    installed: Vec<Installed>,
    last: u64,
}

impl Faults {
    pub(crate) fn install(&mut self, fault: Fault) -> FaultId {
        self.last += 1;
        let id = FaultId(self.last);
        self.installed.push(Installed { id, fault, matched: 0, cleared: CancellationToken::new() });
        id
    }

    pub(crate) fn clear(&mut self, id: FaultId) {
        self.installed.retain(|installed| installed.id != id);
    }

    pub(crate) fn clear_all(&mut self) {
        self.installed.clear();
    }

    /// Finds the oldest fault that strikes now, and counts the strike.
    pub(crate) fn strike(&mut self, hit: &Hit<'_>) -> Option<Strike> {
        for installed in &mut self.installed {
            if installed.fault.remaining == Some(0) || !installed.fault.matches(hit) {
                continue;
            }
            installed.matched += 1;
            if installed.fault.every > 1 && !installed.matched.is_multiple_of(installed.fault.every) {
                continue;
            }
            if let Some(remaining) = &mut installed.fault.remaining {
                *remaining -= 1;
            }
            return Some(Strike {
                id: installed.id,
                misbehaviour: installed.fault.misbehaviour.clone(),
                cleared: installed.cleared.clone(),
            });
        }
        None
    }
}

//! Where probes and metrics are answered.

use super::Checker;
use crate::config::admin::{Admin, Listen};
use crate::config::raw::Raw;

impl Checker<'_> {
    pub(super) fn admin(&mut self, raw: &Raw) -> Option<Admin> {
        let admin = raw.admin.as_ref()?;
        let path = ["admin", "listen"];
        let Some(listen) = &admin.listen else {
            if !self.is_cut(&path) {
                self.problem(&["admin"], "'listen' is missing: where it listens, such as \":8211\"");
            }
            return None;
        };
        let listen = self.take(&path, Listen::parse(listen))?;
        Some(Admin { listen, secret_names: admin.secret_names_in_metrics.unwrap_or_default() })
    }
}

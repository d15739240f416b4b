//! `keyferry get`: one value to standard output.

use std::collections::BTreeMap;

use super::{Ended, init, once, start, stdout};
use crate::cli::Global;
use crate::process;
use crate::secret::Part;

pub(super) async fn get(
    global: &Global,
    what: &str,
    show: bool,
    environment: &BTreeMap<String, String>,
) -> Result<(), Ended> {
    stdout::may_be_written(show, "secret")?;
    let config = start::single(global, what, environment)?;
    let view = once::look(&config, environment).await?;
    let mut secrets = view.snapshot.iter().flat_map(|snapshot| snapshot.secrets.values());
    let Some(value) = secrets.find_map(|secret| secret.part(Part::Value).or_else(|| secret.part(Part::Bundle))) else {
        return Err(init::why(&view, &config, once::TO_LEARN));
    };
    let newline: &[u8] = if process::stdout_is_terminal() { b"\n" } else { b"" };
    stdout::write(&[value.expose(), newline])
}

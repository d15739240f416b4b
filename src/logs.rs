//! Logs on standard error: lines for people on a terminal, JSON lines in a container.
//!
//! Only keyferry's own events follow `--log-level`; libraries stay at warn, because some print what they send.

use std::io::{IsTerminal as _, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// A line of text per event.
    Text,
    /// A JSON object per event.
    Json,
}

/// Begins to log. Anything logged before is lost. Tells whether lines are JSON.
///
/// A command that says at its end what failed would say it twice: with `told_at_the_end` neither failures, which are
/// the events that have a code, nor what goes well are logged, unless it is for somebody who debugs.
pub fn begin(format: Format, level: LevelFilter, told_at_the_end: bool) -> bool {
    let brief = told_at_the_end && level < LevelFilter::DEBUG;
    let level = if brief { LevelFilter::WARN.min(level) } else { level };
    let filter = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_target("keyferry", level)
        .and(filter_fn(move |event| !(brief && event.fields().field("code").is_some())));
    let registry = tracing_subscriber::registry();
    let json = match format {
        Format::Auto => !stderr().is_terminal(),
        Format::Text => false,
        Format::Json => true,
    };
    // A second subscriber cannot be: this is called once, by main.
    let begun = if json {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(stderr).with_filter(filter)).try_init()
    } else {
        let ansi = stderr().is_terminal();
        registry
            .with(fmt::layer().with_ansi(ansi).with_target(false).with_writer(stderr).with_filter(filter))
            .try_init()
    };
    debug_assert!(begun.is_ok());
    json
}

//! The integration tests: one binary that drives the real one.
#![allow(unreachable_pub, reason = "in a test binary nothing is reachable from outside")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests may")]
#![allow(clippy::format_push_string, clippy::format_collect, reason = "tests make small texts")]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests look at files and clocks")]

mod harness;

mod admin;
mod certificates;
mod check;
mod cold_start;
mod commands;
mod configs;
mod connections;
mod deploy;
mod docs;
mod door;
mod env;
mod examples;
mod exec;
mod failures;
mod files;
mod fleet;
mod from;
mod hooks;
mod hostile;
mod identities;
mod idle;
mod ids;
mod install;
mod leak;
mod lists;
mod monitoring;
mod network;
mod outages;
mod platforms;
mod reload;
mod rotation;
mod sdk;
mod serve;
mod silence;
mod sources;
mod standby;
mod templates;
mod tidy;
mod tokens;

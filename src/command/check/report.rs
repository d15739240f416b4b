//! What was found, as a table and as JSON.

use std::fmt::Display;

use serde::Serialize;

use crate::command::table::table;
use crate::exit::Exit;
use crate::plan::Daily;

/// Everything that was looked at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// What was looked at, one after the other.
    pub(super) checks: Vec<Checked>,
    /// What a day costs, by service.
    requests_per_day: Vec<Cost>,
}

#[derive(Debug, Serialize)]
struct Cost {
    of: String,
    fewest: u64,
    most: u64,
}

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum What {
    /// Who signs in.
    Identity,
    /// A secret.
    Secret,
    /// The same in the vault that stands by.
    Standby,
    /// What tokens are given for.
    Scope,
    /// A file that is made of several.
    File,
    /// The variables.
    Variables,
    /// A directory that is published to.
    Directory,
    /// A file of an endpoint.
    Endpoint,
    /// Somebody who is told of changes.
    Hook,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checked {
    what: What,
    pub(super) name: String,
    /// What it is about: a reference, an identity and why it is the one.
    #[serde(skip_serializing_if = "String::is_empty")]
    about: String,
    /// `ok`, `absent`, `warning` or `failed`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    /// When it stops being good (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<String>,
    /// What is wrong, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// How the command ends for it.
    #[serde(skip)]
    pub(super) exit: Option<Exit>,
}

impl Checked {
    /// All is well with it, as far as is known.
    pub(super) fn new(what: What, name: impl Display, about: impl Display) -> Self {
        let (name, about) = (name.to_string(), about.to_string());
        Self { what, name, about, result: "ok", version: None, expires: None, problem: None, exit: None }
    }

    /// The same, if it is; or what is wrong.
    pub(super) fn which(self, tried: Result<(), (Exit, String)>) -> Self {
        match tried {
            Ok(()) => self,
            Err((exit, problem)) => Self { result: "failed", problem: Some(problem), exit: Some(exit), ..self },
        }
    }

    /// The same, with something that may be wrong.
    pub(super) fn warns(self, problem: String) -> Self {
        Self { result: "warning", problem: Some(problem), ..self }
    }

    /// The same, which is optional and not there.
    pub(super) fn but_absent(self) -> Self {
        Self { result: "absent", ..self }
    }

    fn kind(&self) -> &'static str {
        match self.what {
            What::Identity => "identity",
            What::Secret => "secret",
            What::Standby => "standby",
            What::Scope => "scope",
            What::File => "file",
            What::Variables => "variables",
            What::Directory => "directory",
            What::Endpoint => "endpoint",
            What::Hook => "hook",
        }
    }
}

impl Report {
    /// Nothing was looked at yet.
    pub(super) fn new(costs: Vec<Daily>) -> Self {
        let cost = |Daily { of, fewest, most }| Cost { of, fewest, most };
        Self { checks: Vec::new(), requests_per_day: costs.into_iter().map(cost).collect() }
    }

    pub(super) fn add(&mut self, checked: Checked) {
        self.checks.push(checked);
    }

    /// What is wrong.
    pub(super) fn failed(&self) -> impl Iterator<Item = &Checked> {
        self.checks.iter().filter(|checked| checked.exit.is_some())
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        // Our own types have no keys but strings.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// For people: a table, what is wrong, and what a day costs.
    pub(super) fn table(&self) -> String {
        let row = |checked: &Checked| {
            let end = checked.expires.as_ref().map(|expires| format!(", until {expires}")).unwrap_or_default();
            vec![
                checked.kind().to_owned(),
                checked.name.clone(),
                format!("{}{end}", checked.result),
                checked.about.clone(),
            ]
        };
        let rows: Vec<Vec<String>> = self.checks.iter().map(row).collect();
        let mut text = table(&["WHAT", "NAME", "RESULT", "ABOUT"], &rows);
        for checked in &self.checks {
            if let Some(problem) = &checked.problem {
                let (kind, name) = (checked.kind(), &checked.name);
                text.extend(["\n", kind, " ", name, ": ", problem, "\n"]);
            }
        }
        if !self.requests_per_day.is_empty() {
            text.push_str("\nRequests on a day without changes:\n");
        }
        for Cost { of, fewest, most } in &self.requests_per_day {
            let about = if fewest == most { format!("about {most}") } else { format!("about {fewest} to {most}") };
            text.extend(["  ", of, ": ", &about, "\n"]);
        }
        text
    }
}

#[cfg(test)]
mod tests;

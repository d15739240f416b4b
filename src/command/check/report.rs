//! What was found, as a table and as JSON.

use std::fmt::Display;

use serde::Serialize;

use crate::agent::few;
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
    /// The configuration itself.
    Configuration,
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
    /// `ok`, `absent`, `notTried`, `warning` or `failed`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    /// When it stops being good (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<String>,
    /// The failure's code, where one came from a service or the way there.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// What is wrong, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// How the command ends for it.
    #[serde(skip)]
    pub(super) exit: Option<Exit>,
}

/// What is wrong with something.
#[derive(Debug)]
pub(super) struct Trouble {
    /// How the command ends for it.
    pub(super) exit: Exit,
    /// The code of the failure.
    pub(super) code: Option<String>,
    /// What it is, and what to do.
    pub(super) told: String,
}

impl Trouble {
    /// One that has no code.
    pub(super) fn new(exit: Exit, told: String) -> Self {
        Self { exit, code: None, told }
    }
}

impl Checked {
    /// All is well with it, as far as is known.
    pub(super) fn new(what: What, name: impl Display, about: impl Display) -> Self {
        let (name, about) = (name.to_string(), about.to_string());
        let (version, expires, code, problem, exit) = (None, None, None, None, None);
        Self { what, name, about, result: "ok", version, expires, code, problem, exit }
    }

    /// The same, if it is; or what is wrong.
    pub(super) fn which(self, tried: Result<(), Trouble>) -> Self {
        match tried {
            Ok(()) => self,
            Err(Trouble { exit, code, told }) => {
                Self { result: "failed", code, problem: Some(told), exit: Some(exit), ..self }
            }
        }
    }

    /// The same, with something more that may be wrong.
    pub(super) fn warns(self, warning: impl Into<String>) -> Self {
        let result = if self.exit.is_some() { self.result } else { "warning" };
        let told: Vec<String> = self.problem.into_iter().chain([warning.into()]).collect();
        Self { result, problem: Some(told.join("; ")), ..self }
    }

    /// The same, which is optional and not there.
    pub(super) fn but_absent(self) -> Self {
        Self { result: "absent", ..self }
    }

    /// Whether it is.
    pub(super) fn is_absent(&self) -> bool {
        self.result == "absent"
    }

    /// The same, of which nothing is known, and why.
    pub(super) fn but_untried(self, why: &str) -> Self {
        Self { result: "notTried", about: why.to_owned(), ..self }
    }

    fn kind(&self) -> &'static str {
        match self.what {
            What::Configuration => "configuration",
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

    /// What is wrong, each problem once, with the names of all that have it.
    fn problems(&self) -> Vec<(&'static str, Vec<&str>, &str)> {
        let mut problems: Vec<(&'static str, Vec<&str>, &str)> = Vec::new();
        for checked in &self.checks {
            let Some(problem) = checked.problem.as_deref() else { continue };
            let kind = checked.kind();
            match problems.iter_mut().find(|(of, _, same)| (*of, *same) == (kind, problem)) {
                Some((_, names, _)) => names.push(&checked.name),
                None => problems.push((kind, vec![&checked.name], problem)),
            }
        }
        problems
    }

    /// For people: a table, what is wrong, and what a day costs.
    pub(super) fn table(&self) -> String {
        let row = |checked: &Checked| {
            let end = checked.expires.as_ref().map(|expires| format!(", until {expires}")).unwrap_or_default();
            // As much of it as tells two of them apart.
            let version = checked.version.as_deref().map_or("", |version| version.get(..8).unwrap_or(version));
            vec![
                checked.kind().to_owned(),
                checked.name.clone(),
                format!("{}{end}", checked.result),
                version.to_owned(),
                checked.about.clone(),
            ]
        };
        let rows: Vec<Vec<String>> = self.checks.iter().map(row).collect();
        let mut text = table(&["WHAT", "NAME", "RESULT", "VERSION", "ABOUT"], &rows);
        for (kind, names, problem) in self.problems() {
            text.extend(["\n", kind, " ", &few(&names), ": ", problem, "\n"]);
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

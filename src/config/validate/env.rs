//! The environment's variables, and what every template may name.

use super::{Checker, joined};
use crate::config::collisions::Secrets;
use crate::config::raw::{Raw, RawVariable};
use crate::reference::SecretName;
use crate::render::{Escape, Holds, Template, Variable, Variables, Wrong, textual};
use crate::secret::Part;

impl Checker<'_> {
    pub(super) fn env(&mut self, raw: &Raw, secrets: &Secrets) -> Variables {
        let mut variables = Variables::default();
        for (name, variable) in &raw.env {
            if !Variable::may_be_called(name) {
                let message = "a variable's name has only letters, digits and '_', and does not begin with a digit";
                self.key_problem(&["env", name], message);
            } else if name.starts_with("KEYFERRY_") {
                self.key_problem(&["env", name], "the variables KEYFERRY_… are keyferry's own: choose another name");
            }
            let variable = self.variable(name, variable, raw, secrets);
            variables.0.extend(variable.map(|variable| (name.clone(), variable)));
        }
        variables
    }

    fn variable(&mut self, name: &str, raw: &RawVariable, all: &Raw, secrets: &Secrets) -> Option<Variable> {
        let member = |member| ["env", name, member];
        if raw.part.is_some() && raw.template.is_some() {
            self.key_problem(&member("part"), "a template names the parts itself, secrets['name'].key: leave this out");
        }
        match (&raw.secret, &raw.template) {
            (Some(_), Some(_)) => {
                self.problem(&["env", name], "it has a 'secret' or a 'template', not both: leave one out");
                None
            }
            (None, None) => {
                if !self.is_cut(&member("secret")) && !self.is_cut(&member("template")) {
                    self.problem(
                        &["env", name],
                        "'secret' is missing, the name of one, or 'template', a text with several",
                    );
                }
                None
            }
            (None, Some(text)) => {
                self.template(&member("template"), None, text, Escape::None, all, secrets).map(Variable::Template)
            }
            (Some(secret), None) => match (self.holds(secret, all, secrets), &raw.part) {
                (Holds::Untold, _) => None,
                (Holds::Nothing, _) => {
                    self.problem(&member("secret"), "there is no secret of this name in 'secrets:'");
                    None
                }
                (Holds::Value, Some(_)) => {
                    self.key_problem(&member("part"), "only a certificate has parts: leave this out");
                    None
                }
                (Holds::Value, None) => {
                    Some(Variable::Secret { secret: SecretName::parse(secret).ok()?, part: Part::Value })
                }
                (Holds::Parts, None) if self.tree.was_cut(&member("part")) => None,
                (Holds::Parts, part) => {
                    let at = if part.is_some() { member("part") } else { member("secret") };
                    let part = textual(part.as_deref().unwrap_or_default());
                    let part = self.take(&at, part.map_err(|message| format!("the secret '{secret}' {message}")))?;
                    Some(Variable::Secret { secret: SecretName::parse(secret).ok()?, part })
                }
            },
        }
    }

    /// What is known of a name that a template or a variable uses.
    fn holds(&self, name: &str, all: &Raw, secrets: &Secrets) -> Holds {
        match SecretName::parse(name).ok().and_then(|name| secrets.get(&name)) {
            Some(secret) if secret.cut.parts.is_empty() => Holds::Value,
            Some(_) => Holds::Parts,
            // One that is there, but wrong, is complained of where it stands.
            None if all.secrets.contains_key(name) || self.tree.was_cut(&["secrets", name]) => Holds::Untold,
            None => Holds::Nothing,
        }
    }

    /// Reads a template, which stands in the configuration or in a file, and notes everything that is wrong with it.
    pub(super) fn template(
        &mut self,
        path: &[&str],
        file: Option<&str>,
        text: &str,
        escape: Escape,
        all: &Raw,
        secrets: &Secrets,
    ) -> Option<Template> {
        let holds = |name: &str| self.holds(name, all, secrets);
        let name = file.map_or_else(|| joined(&self.tree.find(path).0), str::to_owned);
        let problems = match Template::parse(name, text.to_owned(), escape, &holds) {
            Ok(template) => return Some(template),
            Err(problems) => problems,
        };
        for Wrong { line, column, message } in problems {
            let place = match (file, column) {
                (Some(file), Some(column)) => format!("{file}:{line}:{column}"),
                (Some(file), None) => format!("{file}:{line}"),
                (None, Some(column)) => format!("line {line}, column {column}"),
                (None, None) => format!("line {line}"),
            };
            self.problem(path, format!("{place}: {message}"));
        }
        None
    }
}

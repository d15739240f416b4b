//! What came, and what can be made of it: identities, secrets, scopes, and what is rendered.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Brought;
use super::report::{Checked, Report, Trouble, What};
use crate::advice;
use crate::config::{Config, DEFAULT_IDENTITY};
use crate::exit::Exit;
use crate::failure::{Blame, Code, Failure, Kind};
use crate::moment::UnixTime;
use crate::plan::{Content, Plan, Wanted};
use crate::ports::Fetched;
use crate::reference::{Gate, IdentityName, Object, SecretName};
use crate::render;
use crate::secret::Secret;
use crate::status::rfc3339;

/// What was wanted, and what came.
pub(super) struct Look<'a> {
    pub(super) config: &'a Config,
    pub(super) plan: &'a Plan,
    pub(super) brought: Brought,
    pub(super) now: UnixTime,
}

/// What there is to render.
#[derive(Default)]
pub(super) struct Had {
    values: render::Values,
    /// What is optional and not there: what is rendered does without it.
    absent: BTreeSet<SecretName>,
}

impl Look<'_> {
    /// Whether those can sign in by whom something is fetched.
    pub(super) fn identities(&self, report: &mut Report) {
        let used: BTreeSet<Gate> = self.brought.keys().flat_map(Object::gates).collect();
        let is_used = |name: &IdentityName| used.contains(&Gate::Identity(name.clone()));
        for (name, identity) in self.config.identities.iter().filter(|(name, _)| is_used(name)) {
            let because =
                if name.0 == DEFAULT_IDENTITY { self.config.identity_because.as_str() } else { "its vault says so" };
            let failed = self.brought.iter().find_map(|(object, result)| match result {
                Err(failure) if failure.blame == Blame::Identity && object.identity() == Some(name) => {
                    Some(self.told(failure, object))
                }
                _ => None,
            });
            let about = format!("{identity}, because {because}");
            report.add(Checked::new(What::Identity, name, about).which(failed.map_or(Ok(()), Err)));
        }
    }

    /// Whether each secret can be had, and its standby.
    pub(super) fn secrets(&self, report: &mut Report) -> Had {
        let mut had = Had::default();
        for (name, wanted) in &self.plan.names {
            let (checked, secret) =
                self.one(wanted, &wanted.object, Checked::new(What::Secret, name, &wanted.reference));
            if checked.is_absent() {
                had.absent.insert(name.clone());
            }
            had.values.extend(secret.map(|secret| (name.clone(), Arc::new(secret))));
            report.add(checked);
            if let Some(standby) = &wanted.standby {
                report.add(self.one(wanted, standby, Checked::new(What::Standby, name, standby)).0);
            }
        }
        had
    }

    fn one(&self, wanted: &Wanted, object: &Object, mut checked: Checked) -> (Checked, Option<Secret>) {
        match self.of(wanted, object) {
            Ok((secret, fetched)) => {
                checked.version = Some(fetched.secret.version.to_string()).filter(|version| version != "-");
                checked.expires = fetched.expires.map(rfc3339);
                let warnings = advice::on_what_came(fetched, &wanted.reference, self.now);
                (warnings.into_iter().fold(checked, Checked::warns), Some(secret))
            }
            Err(failure) if !wanted.required && matches!(failure.kind, Kind::Missing | Kind::Disabled) => {
                (checked.but_absent(), None)
            }
            Err(failure) => (checked.which(Err(self.why(&failure, object))), None),
        }
    }

    fn of(&self, wanted: &Wanted, object: &Object) -> Result<(Secret, &Fetched), Failure> {
        let unasked = || Failure::new(Blame::Object, Kind::Outage, Code::new("ended"));
        let fetched = self.brought.get(object).ok_or_else(unasked)?.as_ref().map_err(Clone::clone)?;
        let secret = wanted.cut.apply(&fetched.secret).map_err(|error| {
            Failure::new(Blame::Object, Kind::Content, Code::new(error.code())).because(error.to_string())
        })?;
        Ok((secret, fetched))
    }

    /// Whether tokens can be had for each scope that they are given for.
    pub(super) fn scopes(&self, given: &[Object], report: &mut Report) {
        for object in given {
            let Object::Token { scope, .. } = object else { continue };
            let failed = self.brought.get(object).and_then(|result| result.as_ref().err());
            let tried = failed.map_or(Ok(()), |failure| Err(self.why(failure, object)));
            report.add(Checked::new(What::Scope, scope, "tokens for callers of serve.tokens").which(tried));
        }
    }

    /// What an identity is to blame for is told at the identity.
    fn why(&self, failure: &Failure, object: &Object) -> Trouble {
        let told = self.told(failure, object);
        match (failure.blame, object.identity()) {
            (Blame::Identity, Some(identity)) => {
                Trouble { told: format!("signing in as '{identity}' failed, see there"), ..told }
            }
            _ => told,
        }
    }

    fn told(&self, failure: &Failure, object: &Object) -> Trouble {
        let told = advice::told(failure, object, &self.config.identities);
        Trouble { code: Some(failure.code.to_string()), ..Trouble::new(Exit::of(failure), told) }
    }

    /// Whether what is made of several secrets can be made, of the ones that could be had.
    pub(super) fn rendered(&self, had: &Had, report: &mut Report) {
        for (dir, layout) in &*self.plan.layouts {
            for (path, content) in layout {
                let Content::Rendered { recipe, .. } = content else { continue };
                let checked = Checked::new(What::File, dir.join(path).display(), "");
                report.add(had.made(checked, recipe.secrets(), || recipe.make(&had.values).map(drop)));
            }
        }
        if !self.config.env.0.is_empty() {
            let checked = Checked::new(What::Variables, "env", "");
            let used = self.config.env.uses().map(|(name, _)| name).collect();
            report.add(had.made(checked, used, || self.config.env.values(&had.values).map(drop)));
        }
    }
}

impl Had {
    fn made(
        &self,
        checked: Checked,
        used: BTreeSet<&SecretName>,
        make: impl FnOnce() -> Result<(), render::Failure>,
    ) -> Checked {
        let lacking = |name: &&SecretName| !self.values.contains_key(*name) && !self.absent.contains(*name);
        match used.into_iter().find(lacking) {
            Some(name) => checked.warns(format!("not tried without {name}")),
            None => checked.which(make().map_err(|failure| Trouble::new(Exit::Content, failure.to_string()))),
        }
    }
}

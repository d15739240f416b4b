//! Who may come in at an endpoint, and what each gets to see.

use std::fmt;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};

use super::guard::Refusal;
use super::kernel::{self, Unknown};
use super::listen::End;
use super::slots::Share;
use crate::config::serve::{Allow, Visible};
use crate::secret::SecretValue;

/// What an Azure SDK sends the variable `IDENTITY_HEADER` in.
pub(super) const IDENTITY_HEADER: HeaderName = HeaderName::from_static("x-identity-header");

/// The user at the other end of a connection, or why nobody knows which that is.
pub(super) type Caller = Result<u32, Unknown>;

/// An endpoint's door.
pub struct Door {
    /// The key of the configuration, for messages.
    name: &'static str,
    lock: Lock,
}

enum Lock {
    /// Opens to these users.
    Uids { allow: Allow, own: u32 },
    /// Opens to whoever knows this.
    Bearer(SecretValue),
    /// The same, sent as Azure SDKs send it.
    IdentityHeader(SecretValue),
}

impl Door {
    /// For users, by the kernel's word. `own` is this process's.
    pub fn for_uids(name: &'static str, allow: Allow, own: u32) -> Self {
        Self { name, lock: Lock::Uids { allow, own } }
    }

    /// For whoever sends this token (RFC 6750).
    pub fn for_bearer(name: &'static str, token: SecretValue) -> Self {
        Self { name, lock: Lock::Bearer(token) }
    }

    /// For whoever sends this token as Azure SDKs do.
    pub fn for_identity_header(name: &'static str, token: SecretValue) -> Self {
        Self { name, lock: Lock::IdentityHeader(token) }
    }

    /// What an Azure SDK may send in its header: the token, or anything, where the kernel says who calls (an SDK sends none
    /// that is empty).
    pub fn identity_header(&self) -> SecretValue {
        match &self.lock {
            Lock::IdentityHeader(token) => SecretValue::new(token.expose().to_vec()),
            Lock::Uids { .. } | Lock::Bearer(_) => SecretValue::new(b"keyferry".to_vec()),
        }
    }

    /// Whether it is not the kernel that says who may come in.
    pub(super) fn wants_token(&self) -> bool {
        matches!(self.lock, Lock::Bearer(_) | Lock::IdentityHeader(_))
    }

    /// Looks who is at the other end. Once for each connection, when it begins: as long as it lasts nobody else can have
    /// the same end of it. Whoever breaks it off before that, so that another gets its port and is seen in its place, is
    /// not listened to any more (`listen`).
    pub(super) async fn meet(&self, end: End<'_>) -> (Caller, Share) {
        let caller = match (&self.lock, end) {
            (Lock::Bearer(_) | Lock::IdentityHeader(_), _) => {
                Err(Unknown::new("it was not asked, because a token says who may call"))
            }
            (Lock::Uids { .. }, End::Tcp { local, peer }) => kernel::uid_of_tcp(local, peer).await,
            (Lock::Uids { .. }, End::Unix(stream)) => kernel::uid_of_unix(stream),
        };
        let share = self.share(&caller);
        (caller, share)
    }

    /// Among how many its connections are shared.
    pub fn users(&self) -> usize {
        match &self.lock {
            Lock::Uids { allow: Allow::Uids(uids), .. } => uids.len(),
            Lock::Uids { allow: Allow::Own, .. } | Lock::Bearer(_) | Lock::IdentityHeader(_) => 1,
        }
    }

    /// Whose share of connections it takes. All who may not come in have one together, whoever they are.
    pub(super) fn share(&self, caller: &Caller) -> Share {
        match (&self.lock, caller) {
            (Lock::Bearer(_) | Lock::IdentityHeader(_), _) => Share::Anybody,
            (Lock::Uids { .. }, Ok(uid)) if self.visible(*uid).is_some() => Share::Uid(*uid),
            (Lock::Uids { .. }, _) => Share::Strangers,
        }
    }

    /// What it gets to see, or why nothing.
    pub(super) fn admit(&self, caller: &Caller, headers: &HeaderMap) -> Result<&Visible, Refusal> {
        let forbidden = |code, message: String| Refusal::new(StatusCode::FORBIDDEN, code, message);
        match (&self.lock, caller) {
            (Lock::Bearer(token), _) => knows(headers, token).map(|()| &Visible::All),
            (Lock::IdentityHeader(token), _) => sends(headers, token).map(|()| &Visible::All),
            (Lock::Uids { .. }, Ok(uid)) => self.visible(*uid).ok_or_else(|| {
                forbidden("CallerNotAllowed", format!("uid {uid} may not call: name it in '{}.allow'", self.name))
            }),
            (Lock::Uids { .. }, Err(why)) => {
                Err(forbidden("CallerUnknown", format!("the kernel does not say who calls: {why}")))
            }
        }
    }

    /// Whether it is keyferry's own user, who could read the configuration and sign in as well.
    pub(super) fn is_own(&self, caller: &Caller) -> bool {
        matches!((&self.lock, caller), (Lock::Uids { own, .. }, Ok(uid)) if uid == own)
    }

    fn visible(&self, uid: u32) -> Option<&Visible> {
        match &self.lock {
            Lock::Uids { allow: Allow::Own, own } => (uid == *own).then_some(&Visible::All),
            Lock::Uids { allow: Allow::Uids(uids), .. } => uids.get(&uid),
            Lock::Bearer(_) | Lock::IdentityHeader(_) => None,
        }
    }
}

/// Whether the token is sent, compared in a time that does not tell how much of it is right.
fn knows(headers: &HeaderMap, token: &SecretValue) -> Result<(), Refusal> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let bearer = |value: &HeaderValue| {
        let (scheme, rest) = value.as_bytes().split_at_checked("Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then(|| SecretValue::new(rest.to_vec()))
    };
    if sent.next().and_then(bearer).is_some_and(|sent| sent.ct_eq(token)) && sent.next().is_none() {
        return Ok(());
    }
    let message =
        "send 'Authorization: Bearer <token>' with what is in the token file; it is another one after each start";
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "TokenMissing", message);
    Err(refusal.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
}

/// The same for a header that is nothing but the token.
fn sends(headers: &HeaderMap, token: &SecretValue) -> Result<(), Refusal> {
    let mut sent = headers.get_all(IDENTITY_HEADER).iter();
    let first = sent.next().map(|value| SecretValue::new(value.as_bytes().to_vec()));
    if first.is_some_and(|sent| sent.ct_eq(token)) && sent.next().is_none() {
        return Ok(());
    }
    let message = "the header X-IDENTITY-HEADER is not what is in the token file: set IDENTITY_HEADER to that; it is another \
                   one after each start";
    Err(Refusal::new(StatusCode::UNAUTHORIZED, "TokenMissing", message))
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! Access tokens: text that means nothing, and the table that says whom and what each is for.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::random;

/// What an access token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessToken {
    /// Number in order of issue, from 1.
    pub(crate) number: u64,
    pub(crate) tenant: String,
    pub(crate) client: String,
    pub(crate) audience: String,
    pub(crate) expires: i64,
    pub(crate) revoked: bool,
}

/// All tokens ever issued.
#[derive(Debug, Default)]
pub(crate) struct AccessTokens(HashMap<String, AccessToken>);

impl AccessTokens {
    /// Issues a token that looks like one of Entra's; its signature is noise, only the table counts.
    pub(crate) fn issue(
        &mut self,
        tenant: &str,
        client: &str,
        audience: &str,
        now: i64,
        lifetime: i64,
    ) -> (String, u64) {
        let number = self.0.len() as u64 + 1;
        let expires = now + lifetime;
        let header = json!({"typ": "JWT", "alg": "RS256", "x5t": "ZW11bGF0b3I", "kid": "ZW11bGF0b3I"});
        let claims = json!({
            "aud": audience,
            "iss": format!("https://sts.windows.net/{tenant}/"),
            "iat": now, "nbf": now, "exp": expires,
            "appid": client, "idtyp": "app", "tid": tenant, "uti": random::base64url::<16>(), "ver": "1.0",
        });
        let encoded = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let text = format!("{}.{}.{}", encoded(&header), encoded(&claims), random::base64url::<256>());
        let token = AccessToken {
            number,
            tenant: tenant.to_owned(),
            client: client.to_owned(),
            audience: audience.to_owned(),
            expires,
            revoked: false,
        };
        self.0.insert(text.clone(), token);
        (text, number)
    }

    pub(crate) fn find(&self, text: &str) -> Option<AccessToken> {
        self.0.get(text).cloned()
    }

    /// Makes all tokens issued so far count as expired.
    pub(crate) fn revoke_all(&mut self) {
        for token in self.0.values_mut() {
            token.revoked = true;
        }
    }
}

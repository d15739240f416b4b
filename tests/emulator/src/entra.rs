//! Entra: which paths it answers, and the headers of all its answers.

mod access_token;
mod assertion;
mod audience;
mod certificate;
mod directory;
mod discovery;
mod grant;
mod issuer;
mod jwt;
mod refusal;

use hyper::{Method, StatusCode};
use serde_json::json;

pub use assertion::Assertion;
pub use directory::{
    App, DEFAULT_AUDIENCE, DEFAULT_CLIENT, DEFAULT_ISSUER, DEFAULT_SUBJECT, DEFAULT_TENANT, IDENTITY_BINDING_AUDIENCE,
};

pub(crate) use access_token::AccessTokens;
pub(crate) use assertion::Cluster;
pub(crate) use audience::{Audiences, bare};
pub(crate) use certificate::ClientCertificate;
pub(crate) use directory::Directory;
pub(crate) use grant::TokenRequest;
pub(crate) use issuer::{IssuerKeys, Issuers};
pub(crate) use refusal::EntraRefusal;

use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;
use crate::{Service, random};

/// Path of the token proxy before the tenant.
pub(crate) const PROXY_PATH: &str = "/some/base/path";

/// What a path of Entra's is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Token { tenant: String },
    OpenIdConfiguration { tenant: String },
    InstanceDiscovery,
    Unknown,
}

impl Endpoint {
    /// What a path means to a service; the token proxy knows nothing but tokens.
    pub(crate) fn at(service: Service, path: &str) -> Self {
        match service {
            Service::Entra => Self::of(path),
            Service::TokenProxy => match path.strip_prefix(PROXY_PATH).map(Self::of) {
                Some(token @ Self::Token { .. }) => token,
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    fn of(path: &str) -> Self {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            ["common", "discovery", "instance"] => Self::InstanceDiscovery,
            [tenant, "oauth2", "v2.0", "token"] => Self::Token { tenant: (*tenant).to_owned() },
            [tenant, "v2.0", ".well-known", "openid-configuration"] => {
                Self::OpenIdConfiguration { tenant: (*tenant).to_owned() }
            }
            _ => Self::Unknown,
        }
    }
}

/// Gives the honest answer to a request.
pub(crate) fn answer(world: &World, arrived: &Arrived) -> Answer {
    let mut answer = match (Endpoint::at(arrived.service, &arrived.path), &arrived.method) {
        (Endpoint::Token { tenant }, &Method::POST) => grant::answer(world, arrived, &tenant),
        (Endpoint::OpenIdConfiguration { tenant }, &Method::GET) => discovery::openid(world, arrived, &tenant),
        (Endpoint::InstanceDiscovery, &Method::GET) => discovery::instance(world, arrived),
        (Endpoint::Unknown, _) => answer::html(StatusCode::NOT_FOUND),
        _ => answer::json(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": "invalid_request"})),
    };
    dress(world, arrived, &mut answer);
    answer
}

/// Adds the headers Entra puts on everything.
pub(crate) fn dress(world: &World, arrived: &Arrived, answer: &mut Answer) {
    let headers = [
        ("Cache-Control", "no-store, no-cache"),
        ("Pragma", "no-cache"),
        ("Expires", "-1"),
        ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
        ("X-Content-Type-Options", "nosniff"),
        ("P3P", "CP=\"DSP CUR OTPi IND OTRi ONL FIN\""),
        ("x-ms-ests-server", "2.1.20000.1 - EMULATOR ProdSlices"),
        ("Set-Cookie", "x-ms-gateway-slice=estsfd; path=/; secure; httponly"),
        ("Set-Cookie", "stsservicecookie=estsfd; path=/; secure; httponly"),
    ];
    for (name, value) in headers {
        answer::set(answer, name, value);
    }
    let cookie = format!("fpc={}; path=/; secure; HttpOnly; SameSite=None", random::base64url::<24>());
    answer::set(answer, "Set-Cookie", &cookie);
    answer::set(answer, "x-ms-request-id", &arrived.trace);
    if let Some(id) = arrived.header("client-request-id") {
        answer::set(answer, "client-request-id", id);
    }
    answer::set(answer, "Date", &world.date());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_endpoints() {
        let tenant = "t".to_owned();
        assert_eq!(Endpoint::of("/t/oauth2/v2.0/token"), Endpoint::Token { tenant: tenant.clone() });
        assert_eq!(Endpoint::of("/t/v2.0/.well-known/openid-configuration"), Endpoint::OpenIdConfiguration { tenant });
        assert_eq!(Endpoint::of("/common/discovery/instance"), Endpoint::InstanceDiscovery);
        let token = Endpoint::Token { tenant: "t".to_owned() };
        assert_eq!(Endpoint::at(Service::TokenProxy, "/some/base/path/t/oauth2/v2.0/token"), token);
        for wrong in ["/t/oauth2/v2.0/token", "/some/base/path/common/discovery/instance"] {
            assert_eq!(Endpoint::at(Service::TokenProxy, wrong), Endpoint::Unknown);
        }
        assert_eq!(Endpoint::of("//t/oauth2/v2.0/token/"), Endpoint::Unknown);
    }
}

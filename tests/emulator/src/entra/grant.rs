//! The token endpoint: the checks of a client-credentials request, in order, and what it is granted.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use hyper::StatusCode;
use serde_json::{Value, json};

use super::assertion::Claims;
use super::certificate;
use super::directory::{App, Credentials, IDENTITY_BINDING_AUDIENCE};
use super::jwt::Jwt;
use super::refusal::EntraRefusal;
use crate::answer::{self, Answer};
use crate::exchange::Arrived;
use crate::world::World;
use crate::{Service, random};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The form of a token request.
#[derive(Debug)]
pub(crate) struct TokenRequest(HashMap<String, String>);

impl TokenRequest {
    pub(crate) fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// A parameter, unless it is missing or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// SHA-256 of the assertion in hex, so that a log can tell assertions apart without holding one.
    pub(crate) fn assertion_digest(&self) -> Option<String> {
        self.get("client_assertion").map(|assertion| random::hex(digest(&SHA256, assertion.as_bytes()).as_ref()))
    }

    fn needs(&self, name: &str) -> Result<&str, EntraRefusal> {
        self.get(name).ok_or_else(|| EntraRefusal::missing_parameter(name))
    }
}

/// Answers a token request.
pub(crate) fn answer(world: &World, arrived: &Arrived, tenant: &str) -> Answer {
    let request = TokenRequest::read(&arrived.body);
    match audience_granted(world, &request, tenant, arrived.service) {
        Ok((client, audience)) => grant(world, arrived, &request, tenant, client, audience),
        Err(refusal) => refusal.answer(world, arrived),
    }
}

fn grant(
    world: &World,
    arrived: &Arrived,
    request: &TokenRequest,
    tenant: &str,
    client: &str,
    audience: &str,
) -> Answer {
    let lifetime = world.token_lifetime(audience);
    let now = world.clock.now();
    let (token, number) = world.access_tokens.with(|tokens| tokens.issue(tenant, client, audience, now, lifetime));
    world.log.amend(arrived.number, |entry| entry.token = Some(number));
    let mut body = json!({"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime});
    // Asking for continuous access evaluation is what makes Entra suggest a time to refresh.
    if request.get("claims").is_some_and(|claims| claims.contains("CP1")) {
        body["refresh_in"] = Value::from(lifetime / 2);
    }
    body["access_token"] = Value::from(token);
    answer::json(StatusCode::OK, &body)
}

/// Makes all the checks; gives the client and the audience its token is to be for.
fn audience_granted<'a>(
    world: &World,
    request: &'a TokenRequest,
    tenant: &str,
    service: Service,
) -> Result<(&'a str, &'a str), EntraRefusal> {
    if !world.directory.with(|directory| directory.has_tenant(tenant)) {
        return Err(EntraRefusal::unknown_tenant(tenant));
    }
    let grant = request.needs("grant_type")?;
    if grant != "client_credentials" {
        return Err(EntraRefusal::unsupported_grant(grant));
    }
    let client = request.needs("client_id")?;
    let credentials = world.directory.with(|directory| directory.credentials(tenant, client));
    let credentials = credentials.ok_or_else(|| EntraRefusal::unknown_app(client, tenant))?;
    if let Some(assertion) = request.get("client_assertion") {
        if request.needs("client_assertion_type")? != ASSERTION_TYPE {
            return Err(EntraRefusal::no_credential());
        }
        let audience = audience_of(world, request.needs("scope")?, tenant)?;
        check_assertion(world, &credentials, assertion, tenant, client, service)?;
        return Ok((client, audience));
    }
    // The proxy is for pods, which have nothing but their tokens.
    let secret = request.get("client_secret").filter(|_| service == Service::Entra);
    let secret = secret.ok_or_else(EntraRefusal::no_credential)?;
    let audience = audience_of(world, request.needs("scope")?, tenant)?;
    if !credentials.secrets.iter().any(|known| known == secret) {
        return Err(EntraRefusal::wrong_secret(client));
    }
    Ok((client, audience))
}

/// The one audience of a v2 scope, if the tenant knows it.
fn audience_of<'a>(world: &World, scope: &'a str, tenant: &str) -> Result<&'a str, EntraRefusal> {
    let audience = only_audience(scope)?;
    if !world.knows_audience(audience) {
        return Err(EntraRefusal::unknown_resource(audience, tenant));
    }
    Ok(audience)
}

/// The one audience of a v2 scope; a slash it ends in stays, for the service to object to.
fn only_audience(scope: &str) -> Result<&str, EntraRefusal> {
    if scope.split_whitespace().count() > 1 {
        return Err(EntraRefusal::several_resources(scope));
    }
    let audience = scope.strip_suffix("/.default").filter(|audience| {
        audience.contains("://") && !audience.contains(char::is_whitespace) && !audience.ends_with("://")
    });
    audience.ok_or_else(|| EntraRefusal::invalid_scope(scope))
}

/// Checks an assertion: one that names its client as the issuer is signed by the client, others by a cluster.
fn check_assertion(
    world: &World,
    credentials: &Credentials,
    assertion: &str,
    tenant: &str,
    client: &str,
    service: Service,
) -> Result<(), EntraRefusal> {
    let now = world.clock.now();
    let jwt = Jwt::read(assertion).ok_or_else(EntraRefusal::malformed_assertion)?;
    if service == Service::Entra && jwt.claims["iss"].as_str().is_some_and(|issuer| issuer.eq_ignore_ascii_case(client))
    {
        let endpoint = format!("{}{tenant}/oauth2/v2.0/token", world.authority());
        return certificate::check(&jwt, &credentials.certificates, client, &endpoint, now);
    }
    let claims = Claims::of(&jwt).ok_or_else(EntraRefusal::malformed_assertion)?;
    let of_issuer: Vec<&App> = credentials.federated.iter().filter(|app| app.issuer == claims.issuer).collect();
    if of_issuer.is_empty() {
        return Err(EntraRefusal::no_match(700_211, "issuer", &claims.issuer));
    }
    let by_foreign_keys = world.issuers.with(|issuers| issuers.verify(&claims.issuer, &jwt));
    by_foreign_keys.unwrap_or_else(|| world.cluster.verify(&jwt))?;
    check_trust(of_issuer, &claims, service)?;
    if now < claims.not_before || now >= claims.expires {
        return Err(EntraRefusal::outside_its_time(now, claims.not_before, claims.expires));
    }
    Ok(())
}

/// Finds, among those for the issuer, a federated credential for what the assertion claims, to the letter.
fn check_trust(of_issuer: Vec<&App>, claims: &Claims, service: Service) -> Result<(), EntraRefusal> {
    let taken_here = |app: &&App| (app.audience == IDENTITY_BINDING_AUDIENCE) == (service == Service::TokenProxy);
    let of_audience: Vec<&App> =
        of_issuer.into_iter().filter(taken_here).filter(|app| claims.audiences.contains(&app.audience)).collect();
    if of_audience.is_empty() {
        return Err(EntraRefusal::no_match(700_212, "audience", &claims.audiences.join(", ")));
    }
    if of_audience.iter().any(|app| app.subject == claims.subject) {
        return Ok(());
    }
    let but_for_case = of_audience.iter().any(|app| app.subject.eq_ignore_ascii_case(&claims.subject));
    let code = if but_for_case { 7_002_138 } else { 700_213 };
    Err(EntraRefusal::no_match(code, "subject", &claims.subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_names_exactly_one_audience() {
        let audience_of = |scope| only_audience(scope).map_err(|refusal| refusal.code);
        assert_eq!(audience_of("https://vault.localhost/.default"), Ok("https://vault.localhost"));
        assert_eq!(audience_of("https://vault.localhost//.default"), Ok("https://vault.localhost/"));
        for wrong in ["https://vault.localhost", ".default", "/.default"] {
            assert_eq!(audience_of(wrong), Err(70011), "{wrong}");
        }
        assert_eq!(audience_of("https://vault.localhost/.default https://management.localhost/.default"), Err(700_022));
    }
}

//! Who signs in when the configuration does not say: the environment's word, in the order of the Azure SDKs. What is
//! set by halves is an error and not passed over: whoever set it meant it.

use std::path::Path;

use super::identity::{
    CERTIFICATE_FILE, CERTIFICATE_HELP, CLIENT, Environment, Lacking, SECRET_HELP, TENANT, TOKEN_FILE, WORKLOAD_HELP,
    check_client, check_file, check_tenant, managed,
};
use crate::config::identity::{
    CLIENT_SECRET, ClientCertificate, ClientSecret, IDENTITY_HEADER, Identity, MSI_SECRET, Platform, TokenProxy, Trust,
    Which, Workload,
};
use crate::config::nearby::Nearby;
use crate::reference::parse_host;

const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
const MSI_ENDPOINT: &str = "MSI_ENDPOINT";
/// Set beside the endpoint by Azure Arc.
const IMDS_ENDPOINT: &str = "IMDS_ENDPOINT";
/// Set beside the endpoint by Service Fabric.
const SERVICE_FABRIC: &str = "IDENTITY_SERVER_THUMBPRINT";
/// Where IMDS is, if not at its own address.
const IMDS_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
const IMDS: &str = "http://169.254.169.254";
const IMDS_PATH: &str = "/metadata/identity/oauth2/token";
const TOKEN_PROXY: &str = "AZURE_KUBERNETES_TOKEN_PROXY";
const SERVER_NAME: &str = "AZURE_KUBERNETES_SNI_NAME";
const CA_FILE: &str = "AZURE_KUBERNETES_CA_FILE";
const CA_DATA: &str = "AZURE_KUBERNETES_CA_DATA";
const BY_HAND: &str = "choose by hand with 'identity': workload, managed, clientSecret, clientCertificate or azureCli";

/// The variable's value; an empty one is none.
pub(super) fn given<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// The identity and why it is that one; or what is lacking.
pub(super) fn detect(environment: &Environment) -> Result<(Identity, String), String> {
    let is_set = |name: &&str| given(environment, name).is_some();
    let mut lacking = Lacking::default();
    if let Some(credential) = [CLIENT_SECRET, CERTIFICATE_FILE, TOKEN_FILE].iter().find(|name| is_set(name)) {
        let client = lacking.variable(environment, CLIENT, check_client);
        let tenant = lacking.variable(environment, TENANT, check_tenant);
        let file = match *credential {
            CLIENT_SECRET => None,
            variable => lacking.variable(environment, variable, check_file),
        };
        let help = match *credential {
            CLIENT_SECRET => SECRET_HELP,
            CERTIFICATE_FILE => CERTIFICATE_HELP,
            _ => WORKLOAD_HELP,
        };
        lacking.none(help)?;
        let identity = match (client.zip(tenant), file) {
            (Some((client, tenant)), None) => Identity::ClientSecret(ClientSecret { tenant, client, file: None }),
            (Some((client, tenant)), Some(file)) if *credential == CERTIFICATE_FILE => {
                Identity::ClientCertificate(ClientCertificate { tenant, client, file })
            }
            (Some((client, tenant)), Some(token_file)) => {
                let proxy = token_proxy_of(&token_file, environment)?;
                Identity::Workload(Workload { tenant, client, token_file, proxy })
            }
            (None, _) => return Err(format!("nobody can sign in: {BY_HAND}")),
        };
        return Ok((identity, format!("{CLIENT}, {TENANT} and {credential} are set")));
    }
    let (platform, because) = platform(environment)?;
    let is_imds = matches!(platform, Platform::Imds(_));
    // With a platform of its own, or alone, a client id chooses among managed identities.
    if is_imds && is_set(&CLIENT) && is_set(&TENANT) {
        lacking.variable(environment, TOKEN_FILE, check_file);
        lacking.none(&format!(
            "{CLIENT} and {TENANT} are set, but neither {TOKEN_FILE} nor {CLIENT_SECRET} nor {CERTIFICATE_FILE} is. \
             {WORKLOAD_HELP}, or {BY_HAND}"
        ))?;
    }
    let which = match given(environment, CLIENT) {
        Some(client) => Which::Client(check_client(client).map_err(|reason| format!("{CLIENT}: {reason}"))?),
        None => Which::System,
    };
    let managed = managed(platform, which, environment)?;
    Ok((if is_imds { Identity::Detected(managed) } else { Identity::Managed(managed) }, because))
}

/// Who gives managed identities' tokens here, and why it is known.
pub(super) fn platform(environment: &Environment) -> Result<(Platform, String), String> {
    let endpoint = |variable: &str, url: &str, path| {
        Nearby::parse(url, path).map_err(|reason| format!("nobody can sign in: {variable}: {reason}"))
    };
    let refuse = |what: &str| Err(format!("nobody can sign in: {what}; {BY_HAND}"));
    let both = |endpoint: &str, secret: &str| format!("{endpoint} and {secret} are set");
    // App Service sets the older pair too, with the same meaning: the newer one comes first.
    match (given(environment, IDENTITY_ENDPOINT), given(environment, IDENTITY_HEADER)) {
        (Some(_), Some(_)) if given(environment, SERVICE_FABRIC).is_some() => {
            return refuse("Service Fabric's managed identities are not supported");
        }
        (Some(url), Some(_)) => {
            let platform = Platform::AppService(endpoint(IDENTITY_ENDPOINT, url, "")?);
            return Ok((platform, both(IDENTITY_ENDPOINT, IDENTITY_HEADER)));
        }
        (Some(_), None) if given(environment, IMDS_ENDPOINT).is_some() => {
            return refuse("Azure Arc's managed identity is not supported");
        }
        (Some(_), None) => return refuse(&format!("{IDENTITY_HEADER}: it is not set, but {IDENTITY_ENDPOINT} is")),
        (None, Some(_)) => return refuse(&format!("{IDENTITY_ENDPOINT}: it is not set, but {IDENTITY_HEADER} is")),
        (None, None) => {}
    }
    match (given(environment, MSI_ENDPOINT), given(environment, MSI_SECRET)) {
        (Some(url), Some(_)) => {
            let platform = Platform::AzureMl(endpoint(MSI_ENDPOINT, url, "")?);
            return Ok((platform, both(MSI_ENDPOINT, MSI_SECRET)));
        }
        (Some(_), None) => {
            return refuse(&format!(
                "{MSI_SECRET}: it is not set, but {MSI_ENDPOINT} is: in Azure Cloud Shell, use 'identity: {{azureCli: {{}}}}'"
            ));
        }
        (None, Some(_)) => return refuse(&format!("{MSI_ENDPOINT}: it is not set, but {MSI_SECRET} is")),
        (None, None) => {}
    }
    let tenant_alone = given(environment, TENANT).is_some() && given(environment, CLIENT).is_none();
    let (imds, because) = match given(environment, IMDS_HOST) {
        Some(host) => (endpoint(IMDS_HOST, host, IMDS_PATH)?, format!("{IMDS_HOST} is set")),
        None if tenant_alone => (
            endpoint(IMDS_HOST, IMDS, IMDS_PATH)?,
            format!("the environment names no identity ({TENANT} alone names none)"),
        ),
        None => (endpoint(IMDS_HOST, IMDS, IMDS_PATH)?, "the environment names no identity".to_owned()),
    };
    Ok((Platform::Imds(imds), because))
}

/// What exchanges the tokens of this file instead of Entra. Only those of the file that the environment names are meant
/// for it: another file's are for Entra, because their audience differs.
pub(super) fn token_proxy_of(token_file: &Path, environment: &Environment) -> Result<Option<TokenProxy>, String> {
    if given(environment, TOKEN_FILE).map(Path::new) != Some(token_file) {
        return Ok(None);
    }
    token_proxy(environment).map_err(|reason| format!("nobody can sign in: {reason}"))
}

fn token_proxy(environment: &Environment) -> Result<Option<TokenProxy>, String> {
    let Some(url) = given(environment, TOKEN_PROXY) else {
        let alone = [SERVER_NAME, CA_FILE, CA_DATA].into_iter().find(|name| given(environment, name).is_some());
        return alone.map_or(Ok(None), |name| {
            Err(format!("{TOKEN_PROXY}: it is not set, but {name} is: AKS identity bindings set both"))
        });
    };
    let wrong = |reason: &str| format!("{TOKEN_PROXY}: {reason}");
    let rest = url.strip_prefix("https://").ok_or_else(|| wrong("it begins with 'https://'"))?;
    if !rest.bytes().all(|b| b.is_ascii_graphic()) || rest.contains(['@', '?', '#', '\\']) {
        return Err(wrong(
            "after 'https://' come a host, its port and a path, without a user, query, fragment or blanks",
        ));
    }
    let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
    let host = parse_host(authority).map_err(|_| wrong("after 'https://' comes a host's name, and its port"))?;
    let (host, port) = match host.split_once(':') {
        // The port was checked with the host.
        Some((host, port)) => (host.to_owned(), port.parse().unwrap_or(443)),
        None => (host, 443),
    };
    let is_name = |name: &str| !name.contains(':') && parse_host(name).is_ok_and(|host| !ends_in_a_number(&host));
    let server_name = given(environment, SERVER_NAME);
    if server_name.is_some_and(|name| !is_name(name)) {
        return Err(format!("{SERVER_NAME}: expected a host's name, without a port"));
    }
    let trust = match (given(environment, CA_FILE), given(environment, CA_DATA)) {
        (Some(_), Some(_)) => return Err(format!("both {CA_FILE} and {CA_DATA} are set: keep one")),
        (Some(file), None) => Trust::File(check_file(file).map_err(|reason| format!("{CA_FILE}: {reason}"))?),
        (None, Some(data)) => Trust::Data(data.to_owned()),
        (None, None) => Trust::System,
    };
    let path = if path.is_empty() { "/" } else { path }.to_owned();
    Ok(Some(TokenProxy { host, port, path, server_name: server_name.map(str::to_ascii_lowercase), trust }))
}

/// Whether URLs take it for an address, which nobody resolves (WHATWG URL, "ends in a number").
fn ends_in_a_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x")
}

#[cfg(test)]
mod tests;

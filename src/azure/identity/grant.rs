//! What all exchanges at Entra's token endpoint have in common. A credential of the SDK is made anew for each: its cache
//! would keep a rejected token.

use std::sync::Arc;

use azure_core::Error;
use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;

use crate::azure::answer;
use crate::azure::entra::{ReadAnswers, is_about_the_audience};
use crate::azure::tokens::Token;
use crate::config::cloud::Cloud;
use crate::failure::Blame;
use crate::moment::{Clock, UnixTime};
use crate::secret::SecretValue;

/// The options with the cloud's authority: with it given, the SDK reads no environment variable for it.
pub(super) fn at_authority(options: &ClientOptions, cloud: &Cloud) -> ClientOptions {
    let mut custom = CustomConfiguration::default();
    custom.authority_host.clone_from(&cloud.authority);
    ClientOptions { cloud: Some(Arc::new(custom.into())), ..options.clone() }
}

/// The options with our own reading of the authority's answers.
pub(super) fn read_by_us(options: &ClientOptions, clock: &Clock) -> ClientOptions {
    let mut options = options.clone();
    options.per_try_policies.push(Arc::new(ReadAnswers::new(clock)));
    options
}

/// One token from a fresh credential.
pub(super) async fn token<C: TokenCredential>(
    credential: azure_core::Result<Arc<C>>,
    scope: &str,
    clock: &Clock,
) -> Result<Token, crate::failure::Failure> {
    let blamed = |error: Error| match answer::failure_in(&error) {
        failure if is_about_the_audience(&failure) => failure,
        failure => failure.blamed_on(Blame::Identity),
    };
    let token = credential.map_err(blamed)?.get_token(&[scope], None).await.map_err(blamed)?;
    let now = clock();
    let ends = u64::try_from(token.expires_on.unix_timestamp()).ok().and_then(UnixTime::from_seconds);
    let life = ends.map(|ends| ends.since(now.wall)).unwrap_or_default();
    Ok(Token::new(SecretValue::new(token.token.secret().as_bytes().to_vec()), life, now.tick))
}

//! Azure OpenAI's chat completions, as far as a client needs them to learn that its token is good: whatever is said, the
//! answer is the same.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::answer::{self, Answer};
use crate::entra::bare;
use crate::exchange::Arrived;
use crate::world::World;
use crate::{DEFAULT_TENANT, random};

/// What is answered to everything.
pub(crate) const COMPLETION: &str = "the token is good";

/// Azure's audiences of the tokens that it takes besides the emulator's own, also the newer one.
const AUDIENCES: [&str; 2] = ["https://cognitiveservices.azure.com", "https://ai.azure.com"];

/// Why there is no completion.
#[derive(Debug)]
enum Refused {
    /// The text is what many users were shown.
    Token,
    /// So is this one.
    Key,
    /// No such path, or no api-version.
    Nowhere,
    BadRequest(&'static str),
}

/// Gives the honest answer to a request.
pub(crate) fn answer(world: &World, arrived: &Arrived) -> Answer {
    let answer = match considered(world, arrived) {
        Ok(model) => answer::json(StatusCode::OK, &completion(world, &model)),
        Err(Refused::Token) => {
            let message = "Unauthorized. Access token is missing, invalid, audience is incorrect \
                           (https://cognitiveservices.azure.com), or have expired.";
            answer::json(StatusCode::UNAUTHORIZED, &json!({"statusCode": 401, "message": message}))
        }
        Err(Refused::Key) => {
            let message = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a \
                           valid key for an active subscription and use a correct regional API endpoint for your \
                           resource.";
            error(StatusCode::UNAUTHORIZED, "401", message)
        }
        Err(Refused::Nowhere) => error(StatusCode::NOT_FOUND, "404", "Resource not found"),
        Err(Refused::BadRequest(message)) => error(StatusCode::BAD_REQUEST, "BadRequest", message),
    };
    dressed(world, answer)
}

/// The service's own way to say that it failed.
pub(crate) fn failed(world: &World, status: StatusCode) -> Answer {
    let message = status.canonical_reason().unwrap_or("Error");
    dressed(world, error(status, status.as_str(), message))
}

/// Whether who asks may: with a key where there are keys, else with a token.
fn authorize(world: &World, arrived: &Arrived) -> Result<(), Refused> {
    let keys = world.openai_keys.with(|keys| keys.clone());
    if let Some(shown) = arrived.header("api-key").filter(|_| !keys.is_empty()) {
        return if keys.iter().any(|key| key == shown) { Ok(()) } else { Err(Refused::Key) };
    }
    let token = arrived.bearer().and_then(|shown| world.access_tokens.with(|tokens| tokens.find(shown)));
    let is_good = token.is_some_and(|token| {
        !token.revoked
            && world.clock.now() < token.expires
            && token.tenant.eq_ignore_ascii_case(DEFAULT_TENANT)
            && (AUDIENCES.contains(&bare(&token.audience)) || world.names.cognitive_audience == bare(&token.audience))
    });
    if !is_good {
        return Err(Refused::Token);
    }
    Ok(())
}

/// The deployment, or the model, that is to answer.
fn considered(world: &World, arrived: &Arrived) -> Result<String, Refused> {
    authorize(world, arrived)?;
    let path: Vec<&str> = arrived.path.trim_start_matches('/').split('/').collect();
    let deployment = match path.as_slice() {
        ["openai", "v1", "chat", "completions"] => None,
        ["openai", "deployments", deployment, "chat", "completions"] => {
            let version = arrived.parameter("api-version").filter(|version| !version.is_empty());
            version.ok_or(Refused::Nowhere)?;
            Some((*deployment).to_owned())
        }
        _ => return Err(Refused::Nowhere),
    };
    if arrived.method != Method::POST {
        return Err(Refused::Nowhere);
    }
    let body: Value = serde_json::from_slice(&arrived.body).map_err(|_| Refused::BadRequest("The body is no JSON."))?;
    if body["messages"].as_array().is_none_or(Vec::is_empty) {
        return Err(Refused::BadRequest("'messages' is a required property"));
    }
    let model = deployment.or_else(|| body["model"].as_str().map(str::to_owned));
    model.ok_or(Refused::BadRequest("you must provide a model parameter"))
}

fn completion(world: &World, model: &str) -> Value {
    json!({
        "id": format!("chatcmpl-{}", random::guid()),
        "object": "chat.completion",
        "created": world.clock.now(),
        "model": model,
        "choices": [{
            "index": 0,
            "finish_reason": "stop",
            "logprobs": null,
            "message": {"role": "assistant", "content": COMPLETION, "refusal": null},
        }],
        "usage": {"prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5},
        "system_fingerprint": "fp_emulator",
    })
}

fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    answer::json(status, &json!({"error": {"code": code, "message": message}}))
}

fn dressed(world: &World, mut answer: Answer) -> Answer {
    answer::set(&mut answer, "apim-request-id", &random::guid());
    answer::set(&mut answer, "x-ms-region", "West Europe");
    answer::set(&mut answer, "Date", &world.date());
    answer
}

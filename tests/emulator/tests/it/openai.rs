//! Azure OpenAI: whoever has a good token gets the one completion there is.

use keyferry_emulator::{Fault, Misbehaviour, Service};
use reqwest::blocking::Response;
use serde_json::{Value, json as object};

use crate::client::{Rig, header, json};

const DEPLOYMENT: &str = "/openai/deployments/gpt/chat/completions?api-version=2024-10-21";

fn ask(rig: &Rig, path: &str, token: &str, body: &Value) -> Response {
    let url = format!("{}{path}", rig.emulator.openai_url("demo"));
    rig.client.post(url).bearer_auth(token).body(body.to_string()).send().unwrap()
}

fn question() -> Value {
    object!({"model": "gpt", "messages": [{"role": "user", "content": "is it good?"}]})
}

fn told(answer: Response) -> (u16, Value) {
    (answer.status().as_u16(), json(answer))
}

#[test]
fn a_token_for_it_is_answered_on_both_paths() {
    let rig = Rig::new();
    for scope in ["https://cognitiveservices.azure.com", "https://cognitiveservices.localhost", "https://ai.azure.com"]
    {
        let token = rig.token_with(&[("scope", &format!("{scope}/.default"))]);
        for path in [DEPLOYMENT, "/openai/v1/chat/completions"] {
            let (status, body) = told(ask(&rig, path, &token, &question()));
            assert_eq!((status, &body["object"], &body["model"]), (200, &"chat.completion".into(), &"gpt".into()));
            assert_eq!(body["choices"][0]["message"]["content"], "the token is good");
        }
    }
    let asked = rig.emulator.requests().into_iter().rfind(|entry| entry.service == Service::OpenAi).unwrap();
    assert!(asked.token.is_some(), "the log knows which token it was");
}

#[test]
fn any_other_token_is_refused_as_users_were_told() {
    let rig = Rig::new();
    let good = rig.token_with(&[("scope", "https://cognitiveservices.azure.com/.default")]);
    let message = "Unauthorized. Access token is missing, invalid, audience is incorrect \
                   (https://cognitiveservices.azure.com), or have expired.";
    let refused = (401, object!({"statusCode": 401, "message": message}));
    for token in ["", "x", &good[1..], &rig.token()] {
        assert_eq!(told(ask(&rig, DEPLOYMENT, token, &question())), refused, "{token}");
    }
    let url = format!("{}{DEPLOYMENT}", rig.emulator.openai_url("demo"));
    let with_key = rig.client.post(url).header("api-key", "key").body(question().to_string()).send().unwrap();
    assert_eq!(told(with_key), refused);
    rig.emulator.revoke_tokens();
    assert_eq!(told(ask(&rig, DEPLOYMENT, &good, &question())), refused);
}

#[test]
fn a_key_is_taken_while_it_is_one_of_the_resources() {
    let rig = Rig::new();
    let ask = |key: &str| {
        let url = format!("{}{DEPLOYMENT}", rig.emulator.openai_url("demo"));
        told(rig.client.post(url).header("api-key", key).body(question().to_string()).send().unwrap())
    };
    rig.emulator.set_openai_keys(&["one", "two"]);
    assert_eq!((ask("one").0, ask("two").0), (200, 200));
    rig.emulator.set_openai_keys(&["one-again", "two"]);
    let (status, body) = ask("one");
    assert_eq!((status, &body["error"]["code"]), (401, &"401".into()));
    assert!(body["error"]["message"].as_str().unwrap().starts_with("Access denied due to invalid subscription key"));
    assert_eq!(ask("two").0, 200);
    let token = rig.token_with(&[("scope", "https://cognitiveservices.azure.com/.default")]);
    assert_eq!(told(self::ask(&rig, DEPLOYMENT, &token, &question())).0, 200, "tokens as well");
}

#[test]
fn what_it_cannot_answer_it_says() {
    let rig = Rig::new();
    let token = rig.token_with(&[("scope", "https://cognitiveservices.azure.com/.default")]);
    let status = |path: &str, body: &Value| ask(&rig, path, &token, body).status().as_u16();
    assert_eq!(status("/openai/deployments/gpt/chat/completions", &question()), 404);
    assert_eq!(status("/openai/deployments/gpt/embeddings?api-version=1", &question()), 404);
    assert_eq!(status(DEPLOYMENT, &object!({"messages": []})), 400);
    assert_eq!(status("/openai/v1/chat/completions", &object!({"messages": [{}]})), 400, "no model");
    let throttle = Misbehaviour::Throttle { retry_after: Some("1".to_owned()) };
    rig.emulator.fault(Fault::new(Service::OpenAi, throttle).times(1));
    let throttled = ask(&rig, DEPLOYMENT, &token, &question());
    assert_eq!(header(&throttled, "retry-after"), Some("1"));
    assert_eq!(throttled.status(), 429);
}

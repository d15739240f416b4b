"""The shape of the AKS store demo's ai-service, in one file: Azure OpenAI describes a product.

    curl -d '{"name": "rope", "tags": ["toy"]}' http://localhost:5001/generate/description

As there, each request loads `.env`, beside this file, over the environment, and signs in anew:

    USE_AZURE_AD=true                     as whoever DefaultAzureCredential finds, with the official SDKs
    AZURE_OPENAI_TOKEN_FILE               with an access token that somebody keeps fresh in this file
    OPENAI_API_KEY, AZURE_OPENAI_API_KEY  with a key; the first is preferred

All but the first need Python's standard library alone.
"""

import json
import os
import shlex
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

SCOPE = "https://cognitiveservices.azure.com/.default"
ENV_FILE = Path(__file__).parent / ".env"
STYLE = "You describe products with wit. You name neither the product nor its tags."


def load_env_file():
    """What python-dotenv's load_dotenv(override=True) does, for the form that keyferry writes: NAME='value'."""
    if ENV_FILE.exists():
        os.environ.update(line.split("=", 1) for line in shlex.split(ENV_FILE.read_text()))


def describe(name, tags):
    load_env_file()
    endpoint = os.environ["AZURE_OPENAI_ENDPOINT"]
    deployment = os.environ["AZURE_OPENAI_DEPLOYMENT_NAME"]
    version = os.environ.get("AZURE_OPENAI_API_VERSION", "2024-12-01-preview")
    messages = [
        {"role": "system", "content": STYLE},
        {"role": "user", "content": f"Describe '{name}', tagged {', '.join(tags)}."},
    ]
    if os.environ.get("USE_AZURE_AD", "").lower() == "true":
        return ask_by_sdk(endpoint, deployment, version, messages)
    url = f"{endpoint.rstrip('/')}/openai/deployments/{deployment}/chat/completions?api-version={version}"
    body = json.dumps({"messages": messages}).encode()
    with urlopen(Request(url, body, {"Content-Type": "application/json"} | sign_in()), timeout=60) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def sign_in():
    file = os.environ.get("AZURE_OPENAI_TOKEN_FILE")
    if file:
        return {"Authorization": f"Bearer {Path(file).read_text()}"}
    return {"api-key": os.environ.get("OPENAI_API_KEY") or os.environ["AZURE_OPENAI_API_KEY"]}


def ask_by_sdk(endpoint, deployment, version, messages):
    from azure.identity import DefaultAzureCredential, get_bearer_token_provider
    from openai import AzureOpenAI

    token = get_bearer_token_provider(DefaultAzureCredential(), SCOPE)
    with AzureOpenAI(azure_endpoint=endpoint, api_version=version, azure_ad_token_provider=token) as client:
        answer = client.chat.completions.create(model=deployment, messages=messages)
    return answer.choices[0].message.content


class Service(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200 if self.path == "/health" else 404, {})

    def do_POST(self):
        if self.path != "/generate/description":
            return self.answer(404, {})
        try:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(200, {"description": describe(asked["name"], asked["tags"])})
        except Exception as error:
            # Its kind alone: an error's own words may quote a header, and so the key.
            self.answer(500, {"detail": f"Error generating description: {type(error).__name__}"})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("", 5001), Service)
    print(f"listening on port {server.server_port}", flush=True)
    server.serve_forever()

"""Proves that unmodified clients get tokens from a running agent: Microsoft's SDK for Python, and OpenAI's.

usage: get_tokens_with_the_official_sdk.py PATH-OF-keyferry-emulator PATH-OF-keyferry

The SDK gets what a container beside the agent would: AZURE_POD_IDENTITY_AUTHORITY_HOST, or IDENTITY_ENDPOINT and
IDENTITY_HEADER. It runs on loopback only.
"""

import json
import logging
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    DefaultAzureCredential,
    ManagedIdentityCredential,
    get_bearer_token_provider,
)
from openai import AzureOpenAI, DefaultHttpxClient, OpenAI

from read_with_the_official_sdk import SECONDS, expected, read_environment, resolve_localhost
from sign_in_with_the_official_sdk import platform_variables

SCOPE = "https://cognitiveservices.azure.com/.default"
NEWER_SCOPE = "https://ai.azure.com/.default"
OWN_SCOPE = "https://cognitiveservices.localhost/.default"
QUESTION = [{"role": "user", "content": "is it good?"}]


def main(emulator_program: str, program: str) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        emulator = subprocess.Popen(
            [emulator_program, "--dir", directory, "--control", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
        )
        # The SDK warns of each refusal, and the refusals here are wanted.
        logging.getLogger("azure.identity").setLevel(logging.CRITICAL)
        deadline = threading.Timer(SECONDS, emulator.kill)
        deadline.start()
        try:
            environment = read_environment(emulator)
            resolve_localhost(environment)
            Proof(environment, program, directory).run()
        finally:
            deadline.cancel()
            emulator.terminate()
            emulator.wait()
    print("unmodified clients get tokens")


class Agent:
    """A running agent that gives tokens."""

    def __init__(self, environment: dict, program: str, more: str):
        config = f"""
cloud: {{authorityHost: "{environment['EMULATOR_AUTHORITY']}", vaultSuffix: vault.localhost}}
tls: {{caFile: {environment['EMULATOR_CA_FILE']}}}
admin: {{listen: "127.0.0.1:0"}}
serve: {{tokens: {{listen: "127.0.0.1:0", scopes: ["{SCOPE}", "{NEWER_SCOPE}", "{OWN_SCOPE}"]{more}}}}}
"""
        names = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST")
        variables = {name: environment[name] for name in names}
        variables |= {"KEYFERRY_CONFIG_YAML": config, "KEYFERRY_ALLOW_CUSTOM_CLOUD": "1"}
        self.process = subprocess.Popen([program, "run"], env=variables, stderr=subprocess.PIPE, text=True)
        self.deadline = threading.Timer(SECONDS, self.process.kill)

    def __enter__(self):
        self.deadline.start()
        self.tokens = self.said("tokens are given at ")
        self.admin = self.said("probes are answered at ")
        # Its log is read on, so that it never waits for a reader.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        return self

    def said(self, words: str) -> str:
        for line in self.process.stderr:
            if words in line:
                return line.split(words)[1].split(": ")[0]
        raise SystemExit("the agent ended early")

    def answered(self, route: str, code: int) -> int:
        series = f'keyferry_endpoint_requests_total{{route="{route}",code="{code}"}}'
        with urllib.request.urlopen(self.admin + "/metrics", timeout=10) as answer:
            counts = [line.split()[1] for line in answer.read().decode().splitlines() if line.startswith(series)]
        return int(counts[0]) if counts else 0

    def __exit__(self, *_):
        self.deadline.cancel()
        self.process.terminate()
        self.process.wait()
        assert self.process.returncode == 0, f"the agent ended with {self.process.returncode}"


def imds(agent: Agent) -> dict:
    return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": agent.tokens}


def app_service(agent: Agent, header: str = "anything") -> dict:
    return {"IDENTITY_ENDPOINT": f"{agent.tokens}/msi/token", "IDENTITY_HEADER": header}


class Proof:
    """The checks, and what they share."""

    def __init__(self, environment: dict, program: str, directory: str):
        self.environment = environment
        self.program = program
        self.token_file = os.path.join(directory, "identity-header")

    def run(self) -> None:
        for route, variables in (("imds-token", imds), ("app-service-token", app_service)):
            self.control("DELETE", "/requests")
            with Agent(self.environment, self.program, "") as agent, platform_variables(variables(agent)):
                self.tokens(agent, route)
                self.chat(ManagedIdentityCredential())
                print(f"ok: {', '.join(variables(agent))}")
        with Agent(self.environment, self.program, f", tokenFile: {self.token_file}") as agent:
            self.header_from_a_file(agent)
            print("ok: IDENTITY_HEADER from the token file")

    def control(self, method: str, path: str, body: dict | None = None):
        body = json.dumps(body).encode() if body else b""
        request = urllib.request.Request(self.environment["EMULATOR_CONTROL"] + path, data=body, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def exchanges(self, scope: str) -> int:
        asked = self.control("GET", "/requests")
        return sum(one["service"] == "entra" and one["audience"] == scope for one in asked)

    def tokens(self, agent: Agent, route: str) -> None:
        before = time.time()
        token = ManagedIdentityCredential().get_token(SCOPE)
        assert before + 80_000 < token.expires_on < before + 90_000, "it says when it ends"
        assert ManagedIdentityCredential().get_token(SCOPE).token == token.token, "the same for the next who asks"
        client = self.environment["AZURE_CLIENT_ID"]
        assert ManagedIdentityCredential(client_id=client).get_token(SCOPE).token == token.token, "by its client id"
        assert DefaultAzureCredential().get_token(SCOPE).token == token.token, "found by itself"
        assert self.exchanges(SCOPE) == 1, "one exchange for them all"

        # What cannot be had is asked for once: the SDK knows that asking again is of no use.
        refused = agent.answered(route, 400)
        for credential, scope in (
            (ManagedIdentityCredential(), "https://vault.azure.net/.default"),
            (ManagedIdentityCredential(client_id="33333333-3333-4333-8333-333333333333"), SCOPE),
        ):
            with expected(ClientAuthenticationError):
                credential.get_token(scope)
            refused += 1
            assert agent.answered(route, 400) == refused, "asked once"

        # What passes is asked for again.
        for scope, fault, code in (
            (NEWER_SCOPE, {"kind": "throttle", "retry_after": "1"}, 429),
            (OWN_SCOPE, {"kind": "status", "status": 503}, 503),
        ):
            self.control("POST", "/faults", {"service": "entra", "remaining": 1, **fault})
            assert ManagedIdentityCredential().get_token(scope).token, code
            assert agent.answered(route, code) > 0, f"{code} came first"

    def chat(self, credential) -> None:
        endpoint = self.environment["EMULATOR_OPENAI_URL"]
        trust = ssl.create_default_context(cafile=self.environment["EMULATOR_CA_FILE"])
        provider = get_bearer_token_provider(credential, SCOPE)
        azure = AzureOpenAI(
            azure_endpoint=endpoint,
            api_version="2024-10-21",
            azure_ad_token_provider=provider,
            http_client=DefaultHttpxClient(verify=trust),
            max_retries=0,
        )
        plain = OpenAI(
            base_url=f"{endpoint}/openai/v1/",
            api_key=provider,
            http_client=DefaultHttpxClient(verify=trust),
            max_retries=0,
        )
        for client in (azure, plain):
            with client:
                answer = client.chat.completions.create(model="gpt", messages=QUESTION)
                assert answer.choices[0].message.content == "the token is good", answer

    def header_from_a_file(self, agent: Agent) -> None:
        with open(self.token_file, encoding="ascii") as file:
            header = file.read()
        with platform_variables(app_service(agent, header)):
            assert ManagedIdentityCredential().get_token(SCOPE).token
        with platform_variables(app_service(agent, header[1:])):
            with expected(ClientAuthenticationError):
                ManagedIdentityCredential().get_token(SCOPE)
        assert agent.answered("app-service-token", 401) == 1, "asked once"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])

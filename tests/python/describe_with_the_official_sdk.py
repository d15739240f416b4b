"""Proves that examples/aks-openai reaches Azure OpenAI with unmodified SDKs, Microsoft's and OpenAI's.

usage: describe_with_the_official_sdk.py PATH-OF-keyferry-emulator PATH-OF-keyferry

The service runs with the variables that its manifest gives it, the agent with those of the workload-identity webhook. Both
run on loopback only, and hosts of Azure are replaced by the emulator's.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

from read_with_the_official_sdk import SECONDS, read_environment

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/aks-openai"
ENDPOINT = "https://contoso.openai.azure.com/"
COGNITIVE = "https://cognitiveservices.azure.com/.default"
QUESTION = [{"role": "user", "content": "is it good?"}]
ANSWER = "the token is good"


def main(emulator_program: str, program: str) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        emulator = subprocess.Popen(
            [emulator_program, "--dir", directory, "--control", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
        )
        deadline = threading.Timer(SECONDS, emulator.kill)
        deadline.start()
        try:
            Proof(read_environment(emulator), program, Path(directory)).run()
        finally:
            deadline.cancel()
            emulator.terminate()
            emulator.wait()
    print("the example reaches Azure OpenAI with unmodified SDKs")


class Started:
    """A process that says where it listens; its output is read on, so that it never waits for a reader."""

    def __init__(self, command: list, environment: dict, words: str, **named):
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **named
        )
        self.deadline = threading.Timer(SECONDS, self.process.kill)
        self.words = words

    def __enter__(self) -> str:
        self.deadline.start()
        said = []
        for line in self.process.stdout:
            said.append(line)
            if self.words in line:
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return line.split(self.words)[1].split(": ")[0].strip()
        raise SystemExit("it ended early: " + "".join(said))

    def __exit__(self, *_):
        self.deadline.cancel()
        self.process.terminate()
        self.process.wait()


class Proof:
    """The checks, and what they share."""

    def __init__(self, environment: dict, program: str, directory: Path):
        self.environment = environment
        self.program = program
        self.directory = directory
        self.cloud = (
            f'cloud: {{authorityHost: "{environment["EMULATOR_AUTHORITY"]}", vaultSuffix: vault.localhost}}\n'
            f'tls: {{caFile: {environment["EMULATOR_CA_FILE"]}}}\n'
        )
        # Of this proof itself neither program sees anything but where things are.
        self.python = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PYTHONPATH": str(ROOT / "tests/python/localhost"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SSL_CERT_FILE": environment["EMULATOR_CA_FILE"],
        }
        names = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST")
        self.webhook = {name: environment[name] for name in names} | {"KEYFERRY_ALLOW_CUSTOM_CLOUD": "1"}

    def run(self) -> None:
        self.token_endpoint()
        print("ok: the token endpoint")
        self.token_file()
        print("ok: README's provider of a token from a file")
        self.variable()
        print("ok: README's variable of a job")

    def agent(self, mode: str, says: str) -> Started:
        config = self.cloud + (EXAMPLE / mode / "keyferry.yaml").read_text()
        config = (
            config.replace("uid: 1000", f"uid: {os.getuid()}")
            .replace("group: 3000", f"group: {os.getgid()}")
            .replace("127.0.0.1:8212", "127.0.0.1:0")
            .replace('":8211"', "127.0.0.1:0")
            .replace("/run/keyferry", str(self.directory / "run"))
        )
        return Started([self.program, "run"], self.webhook | {"KEYFERRY_CONFIG_YAML": config}, says)

    def exchanges(self) -> int:
        with urllib.request.urlopen(self.environment["EMULATOR_CONTROL"] + "/requests", timeout=10) as answer:
            return sum(one["service"] == "entra" and one["audience"] == COGNITIVE for one in json.load(answer))

    def token_endpoint(self) -> None:
        text = (EXAMPLE / "token-endpoint/ai-service.yaml").read_text()
        text = text.replace(ENDPOINT, self.environment["EMULATOR_OPENAI_URL"])
        variables = dict(re.findall(r'- \{name: ([A-Z_]+), value: "?([^"}]+)"?\}', text))
        assert variables["USE_AZURE_AD"] == "true" and len(variables) == 5, variables
        service = self.directory / "ai_service.py"
        service.write_text((EXAMPLE / "ai_service.py").read_text().replace('("", 5001)', '("127.0.0.1", 0)'))
        with self.agent("token-endpoint", "tokens are given at ") as tokens:
            assert variables["AZURE_POD_IDENTITY_AUTHORITY_HOST"] == "http://127.0.0.1:8212"
            variables["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = tokens
            with Started([sys.executable, str(service)], self.python | variables, "listening on port ") as port:
                for _ in range(3):
                    body = json.dumps({"name": "rope", "tags": ["toy"]}).encode()
                    url = f"http://127.0.0.1:{port}/generate/description"
                    with urllib.request.urlopen(url, body, timeout=30) as answer:
                        assert json.load(answer) == {"description": ANSWER}
        assert self.exchanges() == 1, "a credential anew for each request, and one exchange for them all"

    def job(self, client: str) -> str:
        """A program that asks once, with a client that is made so."""
        return f"""
from pathlib import Path
from openai import AzureOpenAI
{client}
answer = client.chat.completions.create(model="gpt-4o-mini", messages={QUESTION})
print(answer.choices[0].message.content)
"""

    def sdk(self) -> dict:
        endpoint = {"AZURE_OPENAI_ENDPOINT": self.environment["EMULATOR_OPENAI_URL"]}
        return self.python | endpoint | {"OPENAI_API_VERSION": "2024-12-01-preview"}

    def block(self, language: str, words: str) -> str:
        blocks = re.findall(rf"```{language}\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
        return next(block for block in blocks if words in block)

    def token_file(self) -> None:
        (self.directory / "run").mkdir()
        client = self.block("python", "azure_ad_token_provider").replace("/run/keyferry", str(self.directory / "run"))
        with self.agent("token-file", "published generation "):
            self.asks([sys.executable, "-c", self.job(client)], self.sdk())

    def variable(self) -> None:
        """README's line, in a shell that finds the agent and a Python with the SDK."""
        programs = self.directory / "bin"
        programs.mkdir()
        (programs / "keyferry").symlink_to(Path(self.program).resolve())
        (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (programs / "python").chmod(0o755)
        (self.directory / "job.py").write_text(self.job("client = AzureOpenAI()"))
        environment = self.sdk() | self.webhook
        environment["KEYFERRY_CONFIG_YAML"] = self.cloud + f'exec: {{tokenScopes: ["{COGNITIVE}"]}}\n'
        environment["PATH"] = f"{programs}:/usr/bin:/bin"
        self.asks(["/bin/sh", "-c", self.block("sh", "keyferry exec")], environment, cwd=self.directory)

    def asks(self, command: list, environment: dict, **named) -> None:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, **named)
        assert (done.returncode, done.stdout) == (0, ANSWER + "\n"), done


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])

"""Proves the emulator honest: Microsoft's own SDK for Python works against it, with its checks left on.

usage: read_with_the_official_sdk.py PATH-OF-keyferry-emulator

The SDK knows nothing of the emulator. It gets the four variables that the workload-identity webhook sets, the
emulator's CA, and options that are documented for private clouds. It runs on loopback only.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
import uuid

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import WorkloadIdentityCredential
from azure.keyvault.secrets import SecretClient

SECONDS = 60
VAULT_PORT = 443


def main(program: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        # The SDK compares the challenge's resource with the vault's host *and port*, and treats only port 443 as
        # none. So the vault is named with 443, as in Azure, and resolve_localhost leads that to the real port.
        emulator = subprocess.Popen(
            [
                program,
                *("--dir", directory, "--control", "127.0.0.1:0"),
                *("--vault", "demo", "--shown-vault-port", str(VAULT_PORT), "--empty-pages"),
                *(f"--secret=demo/many-{number:02}=value {number}" for number in range(60)),
                "--secret=demo/password=first",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        deadline = threading.Timer(SECONDS, emulator.kill)
        deadline.start()
        try:
            environment = read_environment(emulator)
            resolve_localhost(environment)
            check(environment, directory)
        finally:
            deadline.cancel()
            emulator.terminate()
            emulator.wait()
    print("the official SDK is content")


def read_environment(emulator: subprocess.Popen) -> dict:
    environment = {}
    for line in emulator.stdout:
        name, _, value = line.rstrip("\n").partition("=")
        if name == "EMULATOR_READY":
            return environment
        environment[name] = value
    raise SystemExit("the emulator ended before it was ready")


def resolve_localhost(environment: dict) -> None:
    """Resolves *.localhost to loopback, as RFC 6761 section 6.3 asks of resolvers; not every libc does it.

    The vaults' port 443 becomes the one the emulator has, since binding 443 itself takes privileges.
    """
    vault_host, vault_port = environment["EMULATOR_VAULT_ADDRESS"].rsplit(":", 1)
    original = socket.getaddrinfo

    def getaddrinfo(host, port, *arguments, **named):
        name = host.decode() if isinstance(host, bytes) else host
        if name and name.endswith(".vault.localhost") and port == VAULT_PORT:
            return original(vault_host, int(vault_port), *arguments, **named)
        if name and name.endswith(".localhost"):
            return original("127.0.0.1", port, *arguments, **named)
        return original(host, port, *arguments, **named)

    socket.getaddrinfo = getaddrinfo


def check(environment: dict, directory: str) -> None:
    def credential(token_file: str) -> WorkloadIdentityCredential:
        return WorkloadIdentityCredential(
            tenant_id=environment["AZURE_TENANT_ID"],
            client_id=environment["AZURE_CLIENT_ID"],
            token_file_path=token_file,
            authority=environment["AZURE_AUTHORITY_HOST"],
            disable_instance_discovery=True,
            connection_verify=environment["EMULATOR_CA_FILE"],
            retry_total=0,
        )

    def client_with(token_file: str) -> SecretClient:
        return SecretClient(
            environment["EMULATOR_VAULT_URL"],
            credential(token_file),
            connection_verify=environment["EMULATOR_CA_FILE"],
            retry_total=0,
        )

    def control(method: str, path: str, body: bytes = b"") -> dict:
        request = urllib.request.Request(environment["EMULATOR_CONTROL"] + path, data=body, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    client = client_with(environment["AZURE_FEDERATED_TOKEN_FILE"])

    first = client.get_secret("password")
    assert first.value == "first", "latest"
    assert first.properties.enabled and first.properties.recoverable_days == 7, "attributes"
    assert first.properties.vault_url == "https://demo.vault.localhost", "id"
    print("ok: latest")

    rotated = control("PUT", "/vaults/demo/secrets/password", b"second")["version"]
    second = client.get_secret("password")
    assert (second.value, second.properties.version) == ("second", rotated), "rotation"
    assert client.get_secret("password", first.properties.version).value == "first", "older version"
    print("ok: rotation and a version")

    names = [properties.name for properties in client.list_properties_of_secrets()]
    assert names == [f"many-{number:02}" for number in range(60)] + ["password"], "list over pages"
    limited = [properties.name for properties in client.list_properties_of_secrets(max_page_size=7)]
    assert limited == names, "list over small pages"
    print("ok: list over pages, empty ones among them")

    versions = [properties.version for properties in client.list_properties_of_secret_versions("password")]
    assert versions == sorted([first.properties.version, rotated]), "versions"
    assert not list(client.list_properties_of_secret_versions("missing")), "no versions"
    print("ok: versions")

    with expected(ResourceNotFoundError) as missing:
        client.get_secret("missing")
    assert missing.error.error.code == "SecretNotFound", "missing"
    print("ok: a missing secret")

    disabled = {"name": "disabled", "value": "unseen", "enabled": False}
    control("POST", "/vaults/demo/secrets", json.dumps(disabled).encode())
    with expected(HttpResponseError) as forbidden:
        client.get_secret("disabled")
    assert forbidden.error.status_code == 403, "disabled"
    assert forbidden.error.error.innererror["code"] == "SecretDisabled", "disabled"
    print("ok: a disabled secret")

    foreign = os.path.join(directory, uuid.uuid4().hex)
    wrong = json.dumps({"subject": "system:serviceaccount:demo:other"}).encode()
    with open(foreign, "w", encoding="ascii") as file:
        file.write(control("POST", "/tokens/federated", wrong)["token"])
    with expected(ClientAuthenticationError) as refused:
        client_with(foreign).get_secret("password")
    assert "AADSTS700213" in str(refused.error), "wrong subject"
    print("ok: a wrong subject")


class expected:
    """Expects an exception of a class, and keeps it."""

    def __init__(self, kind: type):
        self.kind = kind
        self.error = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        assert error is not None, f"no {self.kind.__name__} was raised"
        self.error = error
        return isinstance(error, self.kind)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])

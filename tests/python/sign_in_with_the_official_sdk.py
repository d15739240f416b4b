"""Proves the emulator's other services honest: Microsoft's own SDK for Python signs in with each kind of credential.

usage: sign_in_with_the_official_sdk.py PATH-OF-keyferry-emulator

As in read_with_the_official_sdk.py the SDK knows nothing of the emulator: it gets the variables that each platform
sets, the emulator's CA, and documented options. No stable package of the SDK lists the secrets of a connection, so that
request goes through its pipeline for the resource manager. It runs on loopback only.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
from azure.core.rest import HttpRequest
from azure.identity import (
    CertificateCredential,
    ClientSecretCredential,
    CredentialUnavailableError,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from azure.keyvault.secrets import SecretClient
from azure.mgmt.core import ARMPipelineClient

from read_with_the_official_sdk import SECONDS, VAULT_PORT, expected, read_environment, resolve_localhost

SCOPE = "https://management.localhost/.default"
VERSION = {"api-version": "2024-04-01"}


def main(program: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        emulator = subprocess.Popen(
            [
                program,
                *("--dir", directory, "--control", "127.0.0.1:0", "--platform", "token-proxy"),
                *("--shown-vault-port", str(VAULT_PORT), "--secret=demo/password=first"),
                *("--connection=ws/aoai=first-key", "--connection=ws/other=other-key"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        # The SDK warns of each refusal, and the refusals here are wanted.
        logging.getLogger("azure.identity").setLevel(logging.CRITICAL)
        deadline = threading.Timer(SECONDS, emulator.kill)
        deadline.start()
        try:
            environment = read_environment(emulator)
            resolve_localhost(environment)
            Proof(environment).run()
        finally:
            deadline.cancel()
            emulator.terminate()
            emulator.wait()
    print("the official SDK signs in everywhere")


class Proof:
    """The checks, and what they share."""

    def __init__(self, environment: dict):
        self.environment = environment
        self.ca_file = environment["EMULATOR_CA_FILE"]
        self.client_id = environment["AZURE_CLIENT_ID"]
        self.entra = {
            "authority": environment["AZURE_AUTHORITY_HOST"],
            "disable_instance_discovery": True,
            "connection_verify": self.ca_file,
            "retry_total": 0,
        }

    def run(self) -> None:
        self.managed_identities()
        self.client_secret()
        self.client_certificate()
        self.identity_binding()
        self.connections()

    def control(self, method: str, path: str, body: bytes = b"") -> dict:
        request = urllib.request.Request(self.environment["EMULATOR_CONTROL"] + path, data=body, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def reads(self, credential) -> None:
        """Reads a secret and a connection with a credential."""
        options = {"connection_verify": self.ca_file, "retry_total": 0}
        client = SecretClient(self.environment["EMULATOR_VAULT_URL"], credential, **options)
        assert client.get_secret("password").value == "first"
        assert self.list_secrets(credential, "aoai")["properties"]["credentials"] == {"key": "first-key"}

    def asks_as(self) -> str:
        """The client that the newest token was issued to."""
        return [request["client_id"] for request in self.control("GET", "/requests") if request["client_id"]][-1]

    def managed_identities(self) -> None:
        app = self.control("PUT", "/identities/app")
        for platform, by_resource in (("imds", True), ("app_service", True), ("azure_ml", False)):
            with platform_variables(self.control("GET", "/environments")[platform]):
                self.reads(ManagedIdentityCredential())
                assert self.asks_as() != app["client_id"], "system-assigned"
                self.reads(ManagedIdentityCredential(client_id=app["client_id"]))
                assert self.asks_as() == app["client_id"], "user-assigned"
                if by_resource:
                    self.reads(ManagedIdentityCredential(identity_config={"resource_id": app["resource_id"]}))
                    assert self.asks_as() == app["client_id"], "user-assigned, by resource id"
                with expected(CredentialUnavailableError):
                    ManagedIdentityCredential(client_id="unknown").get_token(SCOPE)
            print(f"ok: managed identity, {platform}")

    def client_secret(self) -> None:
        tenant = self.environment["AZURE_TENANT_ID"]
        self.control("PUT", f"/clients/{self.client_id}/secret", b"s3cret")
        self.reads(ClientSecretCredential(tenant, self.client_id, "s3cret", **self.entra))
        with expected(ClientAuthenticationError) as refused:
            ClientSecretCredential(tenant, self.client_id, "wrong", **self.entra).get_token(SCOPE)
        assert "AADSTS7000215" in str(refused.error), "wrong secret"
        with expected(ClientAuthenticationError) as refused:
            credential = ClientSecretCredential(tenant, self.client_id, "s3cret", **self.entra)
            credential.get_token("https://unknown.example/.default")
        assert "AADSTS500011" in str(refused.error), "unknown resource"
        print("ok: client secret")

    def client_certificate(self) -> None:
        tenant = self.environment["AZURE_TENANT_ID"]
        pem = self.control("POST", f"/clients/{self.client_id}/certificate")["pem"].encode()
        self.reads(CertificateCredential(tenant, self.client_id, certificate_data=pem, **self.entra))
        foreign = self.control("POST", "/clients/stranger/certificate")["pem"].encode()
        with expected(ClientAuthenticationError) as refused:
            CertificateCredential(tenant, self.client_id, certificate_data=foreign, **self.entra).get_token(SCOPE)
        assert "AADSTS700027" in str(refused.error), "unregistered certificate"
        print("ok: client certificate")

    def identity_binding(self) -> None:
        names = ("AZURE_KUBERNETES_TOKEN_PROXY", "AZURE_KUBERNETES_SNI_NAME", "AZURE_KUBERNETES_CA_FILE")

        def credential(**options) -> WorkloadIdentityCredential:
            return WorkloadIdentityCredential(
                tenant_id=self.environment["AZURE_TENANT_ID"],
                client_id=self.client_id,
                token_file_path=self.environment["AZURE_FEDERATED_TOKEN_FILE"],
                **options,
                **self.entra,
            )

        with platform_variables({name: self.environment[name] for name in names}):
            bound = credential(enable_azure_proxy=True)
            self.reads(bound)
            fresh = self.control("POST", "/token-proxy/ca")["pem"]
            with open(self.environment["AZURE_KUBERNETES_CA_FILE"], "w", encoding="ascii") as file:
                file.write(fresh)
            bound.get_token("https://cognitiveservices.localhost/.default")
        with expected(ClientAuthenticationError) as refused:
            credential().get_token(SCOPE)
        assert "AADSTS700212" in str(refused.error), "a proxy's token at Entra"
        print("ok: identity binding")

    def arm(self, credential) -> ARMPipelineClient:
        policies = [RetryPolicy(retry_total=0), BearerTokenCredentialPolicy(credential, SCOPE)]
        return ARMPipelineClient(
            self.environment["EMULATOR_MANAGEMENT_URL"], policies=policies, connection_verify=self.ca_file
        )

    def send(self, credential, method: str, path: str):
        url = self.environment["EMULATOR_MANAGEMENT_URL"] + self.environment["EMULATOR_WORKSPACE"] + path
        answer = self.arm(credential).send_request(HttpRequest(method, url, params=VERSION))
        answer.raise_for_status()
        return answer

    def list_secrets(self, credential, name: str) -> dict:
        return self.send(credential, "POST", f"/connections/{name}/listsecrets").json()

    def connections(self) -> None:
        with platform_variables(self.control("GET", "/environments")["azure_ml"]):
            credential = ManagedIdentityCredential()
            listed = self.send(credential, "GET", "/connections")
            assert listed.headers["Content-Encoding"] == "gzip", "the SDK offers it"
            listed = listed.json()["value"]
            assert [one["name"] for one in listed] == ["aoai", "other"], "list"
            assert all(one["properties"]["credentials"] is None for one in listed), "no secrets in a list"
            before = self.send(credential, "GET", "/connections/aoai").json()["systemData"]["lastModifiedAt"]
            self.control("PUT", "/workspaces/ws/connections/aoai", b"second-key")
            after = self.send(credential, "GET", "/connections/aoai").json()["systemData"]["lastModifiedAt"]
            assert after > before, "a change shows"
            assert self.list_secrets(credential, "aoai")["properties"]["credentials"] == {"key": "second-key"}
            with expected(HttpResponseError) as missing:
                self.list_secrets(credential, "missing")
            assert missing.error.status_code == 404 and missing.error.error.code == "UserError", "missing"
        print("ok: connections")


class platform_variables:
    """Sets the variables of a platform, and takes them away again."""

    def __init__(self, variables: dict):
        self.variables = variables

    def __enter__(self):
        os.environ.update(self.variables)

    def __exit__(self, *_):
        for name in self.variables:
            del os.environ[name]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])

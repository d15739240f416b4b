"""Proves the emulator honest: Microsoft's own SDK for Python works against it, with its checks left on.

usage: read_with_the_official_sdk.py PATH-OF-keyferry-emulator

The SDK knows nothing of the emulator. It gets the four variables that the workload-identity webhook sets, the
emulator's CA, and options that are documented for private clouds. It runs on loopback only.
"""

import base64
import datetime
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
from azure.keyvault.certificates import CertificateClient
from azure.keyvault.keys import KeyClient
from azure.keyvault.secrets import ContentType, SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

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

    def client_with(token_file: str, kind: type = SecretClient):
        return kind(
            environment["EMULATOR_VAULT_URL"],
            credential(token_file),
            connection_verify=environment["EMULATOR_CA_FILE"],
            retry_total=0,
        )

    def control(method: str, path: str, body: bytes = b"") -> dict:
        request = urllib.request.Request(environment["EMULATOR_CONTROL"] + path, data=body, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    token_file = environment["AZURE_FEDERATED_TOKEN_FILE"]
    client = client_with(token_file)

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

    check_certificates(client, client_with(token_file, CertificateClient), client_with(token_file, KeyClient), control)
    check_keys(client_with(token_file, KeyClient), control)


def issue(private_key) -> tuple:
    """A self-signed certificate: its object, the PEM of key and certificate, and a PFX without a password."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tls.localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2024, 1, 1))
        .not_valid_after(datetime.datetime(2034, 1, 1))
        .sign(private_key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    key = private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    pem = (key + certificate.public_bytes(serialization.Encoding.PEM)).decode()
    pfx = base64.b64encode(pkcs12.serialize_key_and_certificates(None, private_key, certificate, None, plain)).decode()
    return certificate, pem, pfx


def check_certificates(secrets: SecretClient, certificates: CertificateClient, keys: KeyClient, control) -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    rsa_leaf, rsa_pem, rsa_pfx = issue(rsa_key)
    ec_leaf, ec_pem, _ = issue(ec.generate_private_key(ec.SECP256R1()))

    def put(stored: dict) -> str:
        return control("PUT", "/vaults/demo/certificates/tls", json.dumps({"stored": stored}).encode())["version"]

    old = put({"pfx": {"base64": rsa_pfx, "pem": rsa_pem}})
    first = certificates.get_certificate("tls")
    assert bytes(first.cer) == rsa_leaf.public_bytes(serialization.Encoding.DER), "cer"
    assert first.properties.x509_thumbprint == rsa_leaf.fingerprint(hashes.SHA1()), "x5t"
    assert first.properties.expires_on == rsa_leaf.not_valid_after_utc, "exp"
    assert first.properties.not_before == rsa_leaf.not_valid_before_utc, "nbf"
    assert (first.policy.key_size, first.policy.content_type) == (2048, "application/x-pkcs12"), "policy"
    assert first.key_id.rsplit("/", 2)[1:] == ["tls", old] == first.secret_id.rsplit("/", 2)[1:], "kid and sid"
    print("ok: a certificate")

    secret = secrets.get_secret("tls")
    assert secret.properties.content_type == "application/x-pkcs12" and secret.properties.managed, "secret"
    assert secret.properties.key_id == first.key_id and secret.properties.version == old, "secret"
    key, leaf, _ = pkcs12.load_key_and_certificates(base64.b64decode(secret.value), None)
    assert key.private_numbers() == rsa_key.private_numbers() and leaf == rsa_leaf, "pfx"
    converted = secrets.get_secret("tls", out_content_type=ContentType.PEM)
    assert (converted.value, converted.properties.content_type) == (rsa_pem, "application/x-pem-file"), "conversion"
    with expected(HttpResponseError) as refused:
        secrets.get_secret("password", out_content_type=ContentType.PEM)
    assert refused.error.error.code == "BadParameter", "no conversion of text"
    print("ok: the secret behind a certificate, converted and not")

    backing = keys.get_key("tls")
    numbers = rsa_key.public_key().public_numbers()
    modulus, exponent = (int.from_bytes(part, "big") for part in (backing.key.n, backing.key.e))
    assert (modulus, exponent) == (numbers.n, numbers.e), "public key"
    assert backing.properties.managed and backing.properties.version == old, "managed key"
    assert backing.properties.exportable is None and backing.properties.hsm_platform == "0", "key attributes"
    print("ok: the key behind a certificate")

    new = put({"pem": ec_pem})
    second = certificates.get_certificate("tls")
    assert second.properties.version == new and second.policy.key_curve_name == "P-256", "rotation"
    assert secrets.get_secret("tls").value == ec_pem, "rotation of the secret"
    pinned = certificates.get_certificate_version("tls", old)
    assert pinned.policy is None and bytes(pinned.cer) == bytes(first.cer), "a version"
    assert [one.version for one in certificates.list_properties_of_certificate_versions("tls")] == sorted([old, new])
    assert [one.version for one in secrets.list_properties_of_secret_versions("tls")] == sorted([old, new])
    (listed,) = certificates.list_properties_of_certificates()
    assert (listed.name, listed.x509_thumbprint) == ("tls", ec_leaf.fingerprint(hashes.SHA1())), "list"
    (managed,) = (one for one in secrets.list_properties_of_secrets() if one.managed)
    assert (managed.name, managed.content_type) == ("tls", "application/x-pem-file"), "list of secrets"
    print("ok: rotation, versions and lists of certificates")

    with expected(ResourceNotFoundError) as missing:
        certificates.get_certificate("missing")
    assert missing.error.error.code == "CertificateNotFound", "missing"
    print("ok: a missing certificate")


def check_keys(keys: KeyClient, control) -> None:
    def put(name: str, jwk: dict) -> str:
        return control("PUT", f"/vaults/demo/keys/{name}", json.dumps({"key": jwk}).encode())["version"]

    def base64url(number: int, size: int) -> str:
        return base64.urlsafe_b64encode(number.to_bytes(size, "big")).rstrip(b"=").decode()

    curves = [
        ("p256", "P-256", ec.SECP256R1(), 32),
        ("p384", "P-384", ec.SECP384R1(), 48),
        ("p521", "P-521", ec.SECP521R1(), 66),
    ]
    for name, curve, kind, size in curves:
        numbers = ec.generate_private_key(kind).public_key().public_numbers()
        jwk = {"kty": "EC", "crv": curve, "x": base64url(numbers.x, size), "y": base64url(numbers.y, size)}
        version = put(name, jwk)
        read = keys.get_key(name)
        assert (read.properties.version, read.key_type, read.key.crv) == (version, "EC", curve), curve
        assert (int.from_bytes(read.key.x, "big"), int.from_bytes(read.key.y, "big")) == (numbers.x, numbers.y), curve
    older = keys.get_key("p256").properties.version
    newer = put("p256", {"kty": "RSA-HSM", "n": base64url(1 << 2047 | 1, 256), "e": "AQAB"})
    assert keys.get_key("p256").key_type == "RSA-HSM", "rotation"
    assert keys.get_key("p256", older).key_type == "EC", "a version"
    assert keys.get_key("p256").properties.exportable is False, "exportable"
    assert [one.version for one in keys.list_properties_of_key_versions("p256")] == sorted([older, newer]), "versions"
    assert [one.name for one in keys.list_properties_of_keys()] == ["p256", "p384", "p521", "tls"], "list"
    with expected(ResourceNotFoundError) as missing:
        keys.get_key("missing")
    assert missing.error.error.code == "KeyNotFound", "missing"
    print("ok: keys, their versions and lists")


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

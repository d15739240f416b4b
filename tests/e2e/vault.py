"""The emulator, which trusts the cluster's issuer, and the vault `contoso` in it."""

import json
import subprocess
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from cluster import NAMESPACE, Cluster
from here import DOMAIN, VAULT_PORT

ENTRA_PORT, CONTROL_PORT = 18444, 18445
TRUSTED = ("shop", "app", "ai-service")
SECRETS = {"db-user": "app", "db-password": "first", "openai-key": "first"}


class Vault:
    """Serves at the cluster's address of this machine, and takes orders from this process."""

    def __init__(self, stack: ExitStack, cluster: Cluster, emulator: str) -> None:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        keys = directory / "jwks.json"
        keys.write_text(cluster.kubectl("get", "--raw", "/openid/v1/jwks", namespaced=False))
        openid = json.loads(cluster.kubectl("get", "--raw", "/.well-known/openid-configuration", namespaced=False))
        words = [emulator, "--dir", directory, "--address", cluster.here.address, "--domain", DOMAIN]
        words += ["--vault-port", str(VAULT_PORT), "--entra-port", str(ENTRA_PORT)]
        words += ["--control", f"127.0.0.1:{CONTROL_PORT}", "--trust-issuer", f"{openid['issuer']}={keys}"]
        for account in TRUSTED:
            words += ["--trust-subject", f"system:serviceaccount:{NAMESPACE}:{account}"]
        for name, value in SECRETS.items():
            words += ["--secret", f"contoso/{name}={value}"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        told = {}
        while told.get("EMULATOR_READY") != "1":
            name, _, value = process.stdout.readline().strip().partition("=")
            if not name:
                raise RuntimeError("the emulator did not start")
            told[name] = value
        cluster.here.authority = told["AZURE_AUTHORITY_HOST"]
        cluster.kubectl("create", "configmap", "e2e-ca", f"--from-file={directory / 'ca.pem'}")

    def control(self, method: str, path: str, body: dict | str | None = None) -> None:
        data = json.dumps(body).encode() if isinstance(body, dict) else (body or "").encode()
        request = urllib.request.Request(f"http://127.0.0.1:{CONTROL_PORT}{path}", data=data, method=method)
        urllib.request.urlopen(request, timeout=10).close()

    def put(self, name: str, value: str) -> None:
        self.control("PUT", f"/vaults/contoso/secrets/{name}", value)

    def delete(self, name: str) -> None:
        self.control("DELETE", f"/vaults/contoso/secrets/{name}")

    def fresh(self) -> None:
        """As it was at the start, for the next check."""
        for name, value in SECRETS.items():
            self.put(name, value)

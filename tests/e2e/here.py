"""What stands for Azure, for the registry and for the application, in the manifests of whoever has those."""

from collections.abc import Callable
from dataclasses import dataclass

DOMAIN = "keyferry.test"
VAULT_PORT = 18443
TENANT = "11111111-1111-4111-8111-111111111111"
CLIENT = "22222222-2222-4222-8222-222222222222"
TOKENS = "/var/run/secrets/azure/tokens"
AUDIENCE = "api://AzureADTokenExchange"
SKIP = "azure.workload.identity/skip-containers"


@dataclass
class Here:
    """The images that the nodes have, and where pods find the emulator."""

    image: str
    install: str
    application: str
    address: str
    authority: str = ""

    def vault(self, text: str) -> str:
        return text.replace("https://contoso.vault.azure.net", f"https://contoso.vault.{DOMAIN}:{VAULT_PORT}")

    def settings(self) -> str:
        cloud = f"\ncloud: {{vaultSuffix: vault.{DOMAIN}}}\ntls: {{caFile: /e2e/ca.pem}}\n"
        return cloud + "refresh: {interval: 1s, settle: 0s}\n"

    def configuration(self, text: str) -> str:
        return self.vault(text) + self.settings()

    def container(self, name: str, uid: int, script: str) -> dict:
        """A container of the application's image, which a restricted namespace admits."""
        security = {
            "runAsUser": uid,
            "runAsGroup": uid,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        return {"name": name, "image": self.application, "command": ["sh", "-c", script], "securityContext": security}

    @staticmethod
    def beside(pod: dict, container: dict, where: str = "containers") -> None:
        """Adds a container that does not sign in."""
        pod["spec"][where].append(container)
        pod["metadata"]["annotations"][SKIP] += f";{container['name']}"

    def pod(self, pod: dict, script: str, change: Callable[[dict], None], audience: str = AUDIENCE) -> None:
        """Changes a pod, or a template of one, so that it runs here."""
        spec = pod["spec"]
        for container in spec["initContainers"]:
            container["image"] = self.install if container["name"] == "keyferry-install" else self.image
        for container in spec["containers"]:
            container["image"] = self.application
            container.pop("readinessProbe", None)
            wrapped = "keyferry" in container.get("command", [""])[0]
            container["args" if wrapped else "command"] = ["sh", "-c", script]
            for variable in container.get("env", []):
                variable["value"] = self.vault(variable["value"])
            if wrapped and "--from" not in container["command"]:
                vaults = self.vault("vaults: {main: {url: https://contoso.vault.azure.net}}")
                variable = {"name": "KEYFERRY_CONFIG_YAML", "value": vaults + self.settings()}
                container["env"].append(variable)
        change(pod)
        self.network(spec)
        skipped = pod["metadata"]["annotations"][SKIP].split(";")
        if pod["metadata"]["labels"]["azure.workload.identity/use"] == "true":
            signing_in = [one for one in spec["initContainers"] + spec["containers"] if one["name"] not in skipped]
            self.webhook(spec, signing_in, audience)

    def network(self, spec: dict) -> None:
        """How everybody finds and trusts the emulator."""
        spec["hostAliases"] = [{"ip": self.address, "hostnames": [f"login.{DOMAIN}", f"contoso.vault.{DOMAIN}"]}]
        spec["volumes"].append({"name": "e2e-ca", "configMap": {"name": "e2e-ca"}})
        for container in spec["initContainers"] + spec["containers"]:
            container["env"] = container.get("env", []) + [{"name": "KEYFERRY_ALLOW_CUSTOM_CLOUD", "value": "1"}]
            container.setdefault("volumeMounts", []).append({"name": "e2e-ca", "mountPath": "/e2e", "readOnly": True})

    def webhook(self, spec: dict, containers: list[dict], audience: str) -> None:
        """What the webhook of workload identity does, which a cluster without it has not."""
        token = {"audience": audience, "expirationSeconds": 3600, "path": "azure-identity-token"}
        projected = {"sources": [{"serviceAccountToken": token}]}
        spec["volumes"].append({"name": "azure-identity-token", "projected": projected})
        variables = {
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_TENANT_ID": TENANT,
            "AZURE_FEDERATED_TOKEN_FILE": f"{TOKENS}/azure-identity-token",
            "AZURE_AUTHORITY_HOST": self.authority,
        }
        for container in containers:
            container["env"] += [{"name": name, "value": value} for name, value in variables.items()]
            container["volumeMounts"].append({"name": "azure-identity-token", "mountPath": TOKENS, "readOnly": True})

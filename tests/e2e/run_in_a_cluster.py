"""Runs what deploy/helm and deploy/kubernetes make on a real cluster, against the emulator beside it.

usage: run_in_a_cluster.py IMAGE IMAGE-TO-INSTALL-FROM APPLICATION-IMAGE ADDRESS PATH-OF-keyferry-emulator

KUBECONFIG names the cluster; its nodes have the images already (imagePullPolicy IfNotPresent). APPLICATION-IMAGE has a shell.
Pods reach the emulator at ADDRESS, an address of this machine. What pods sign in with are their own projected tokens, signed by
the cluster and checked by the emulator with the cluster's keys. Everything is in a namespace of its own, which is deleted.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

SECONDS = 900
PATIENCE = 120
ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "keyferry-e2e"
DOMAIN = "keyferry.test"
VAULT_PORT, ENTRA_PORT, CONTROL_PORT = 18443, 18444, 18445
TENANT = "11111111-1111-4111-8111-111111111111"
CLIENT = "22222222-2222-4222-8222-222222222222"
TOKENS = "/var/run/secrets/azure/tokens"
TRUSTED = ("shop", "app")
OVERLAYS = "deploy/kubernetes/rendered"
# Shows what it finds at once, and whatever that becomes.
SHOW = 'while :; do now=$(%s 2>&1); [ "$now" = "$last" ] || echo "sees $now"; last=$now; sleep 0.2; done'


def main(image: str, install: str, application: str, address: str, emulator: str) -> None:
    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(SECONDS)
    with ExitStack() as stack:
        cluster = Cluster(stack, image, install, application, address)
        vault = Vault(stack, cluster, emulator)
        for check in (
            a_sidecar_publishes_before_the_application_starts_and_follows_rotation,
            init_publishes_once,
            a_job_ends_although_the_sidecar_runs,
            a_pod_that_is_deleted_ends_in_its_time,
            another_service_account_is_told_so,
            a_deleted_secret_is_told_and_nothing_starts,
            a_vault_that_is_down_is_waited_for,
            the_overlay_native_sidecar,
            the_overlay_init,
            the_overlay_exec_from_sidecar,
            the_overlay_exec,
            the_overlay_tokens,
        ):
            begun = time.monotonic()
            vault.put("db-password", "first")
            check(cluster, vault)
            print(f"ok  {check.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)


def a_sidecar_publishes_before_the_application_starts_and_follows_rotation(cluster: "Cluster", vault: "Vault") -> None:
    cluster.apply("deploy/helm/rendered/sidecar.yaml", SHOW % "cat /run/keyferry/shop.env")
    pod = cluster.running("app=shop")
    cluster.says(pod, "shop", "sees DATABASE_URL='postgres://app:first@db/shop'")
    first = cluster.logs(pod, "shop").splitlines()[0]
    assert first == "sees DATABASE_URL='postgres://app:first@db/shop'", first
    vault.put("db-password", "second")
    cluster.says(pod, "shop", "sees DATABASE_URL='postgres://app:second@db/shop'")
    status = cluster.get("pod", pod)["status"]
    container = next(one for one in status["initContainerStatuses"] if one["name"] == "keyferry")
    assert container["restartCount"] == 0 and container["ready"], container
    cluster.delete_everything()


def init_publishes_once(cluster: "Cluster", vault: "Vault") -> None:
    cluster.apply("deploy/helm/rendered/init.yaml", SHOW % "cat /run/keyferry/shop.env")
    pod = cluster.running("app=shop")
    cluster.says(pod, "shop", "sees DATABASE_URL='postgres://app:first@db/shop'")
    state = cluster.get("pod", pod)["status"]["initContainerStatuses"][0]["state"]
    assert state["terminated"]["exitCode"] == 0, state
    cluster.delete_everything()


def a_job_ends_although_the_sidecar_runs(cluster: "Cluster", vault: "Vault") -> None:
    cluster.apply("deploy/helm/rendered/sidecar.yaml", "cat /run/keyferry/db-user", as_job=True)
    cluster.kubectl("wait", "job/shop", "--for=condition=Complete", f"--timeout={PATIENCE}s")
    assert cluster.logs("job/shop", "shop") == "app"
    cluster.delete_everything()


def a_pod_that_is_deleted_ends_in_its_time(cluster: "Cluster", vault: "Vault") -> None:
    cluster.apply("deploy/helm/rendered/sidecar.yaml", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
    pod = cluster.running("app=shop")
    begun = time.monotonic()
    cluster.kubectl("delete", "deployment", "shop")
    cluster.kubectl("wait", "pod", pod, "--for=delete", f"--timeout={PATIENCE}s")
    took = time.monotonic() - begun
    # The grace period is 30 seconds; whoever is killed at its end takes them all.
    assert took < 25, f"the pod took {took:.1f} s to end"
    cluster.delete_everything()


def another_service_account_is_told_so(cluster: "Cluster", vault: "Vault") -> None:
    cluster.apply("deploy/helm/rendered/init.yaml", "echo started", account="stranger", timeout="3s")
    pod = cluster.pod("app=shop")
    code = cluster.init_ended(pod)
    assert code == 77, code
    cluster.says(pod, "keyferry", "AADSTS700213", previous=True)
    cluster.says(pod, "keyferry", "az identity federated-credential", previous=True)
    cluster.never_started(pod)


def a_deleted_secret_is_told_and_nothing_starts(cluster: "Cluster", vault: "Vault") -> None:
    vault.delete("db-password")
    cluster.apply("deploy/helm/rendered/init.yaml", "echo started", timeout="3s")
    pod = cluster.pod("app=shop")
    code = cluster.init_ended(pod)
    assert code == 69, code
    cluster.says(pod, "keyferry", "az keyvault secret recover", previous=True)
    cluster.never_started(pod)


def a_vault_that_is_down_is_waited_for(cluster: "Cluster", vault: "Vault") -> None:
    vault.control("POST", "/stop", {"service": "vault"})
    cluster.apply("deploy/helm/rendered/sidecar.yaml", SHOW % "cat /run/keyferry/db-user")
    pod = cluster.pod("app=shop")
    cluster.says(pod, "keyferry", "vault contoso.vault.keyferry.test:18443 failed: unavailable")
    status = cluster.get("pod", pod)["status"]
    assert "running" not in status["containerStatuses"][0]["state"], status
    vault.control("POST", "/start", {"service": "vault"})
    cluster.says(pod, "shop", "sees app")
    cluster.delete_everything()


def the_overlay_native_sidecar(cluster: "Cluster", vault: "Vault") -> None:
    cluster.apply(f"{OVERLAYS}/native-sidecar.yaml", SHOW % "cat /run/keyferry/db-password")
    pod = cluster.running("app=app")
    cluster.says(pod, "app", "sees first")
    vault.put("db-password", "second")
    cluster.says(pod, "app", "sees second")
    cluster.delete_everything()


def the_overlay_init(cluster: "Cluster", vault: "Vault") -> None:
    cluster.apply(f"{OVERLAYS}/init.yaml", SHOW % "cat /run/keyferry/db-password")
    cluster.says(cluster.running("app=app"), "app", "sees first")
    cluster.delete_everything()


def the_overlay_exec_from_sidecar(cluster: "Cluster", vault: "Vault") -> None:
    # The application has no identity, and says so.
    script = 'echo "got $DB_PASSWORD, identity [$AZURE_CLIENT_ID$(ls /var/run/secrets 2>/dev/null)]"; exec sleep 1000'
    cluster.apply(f"{OVERLAYS}/exec-from-sidecar.yaml", script)
    pod = cluster.running("app=app")
    cluster.says(pod, "app", "got first, identity []")
    vault.put("db-password", "second")
    cluster.says(pod, "app", "got second, identity []")
    cluster.delete_everything()


def the_overlay_exec(cluster: "Cluster", vault: "Vault") -> None:
    cluster.apply(f"{OVERLAYS}/exec.yaml", 'echo "got $DB_PASSWORD"; exec sleep 1000')
    pod = cluster.running("app=app")
    cluster.says(pod, "app", "got first")
    vault.put("db-password", "second")
    cluster.says(pod, "app", "got second")
    cluster.delete_everything()


def the_overlay_tokens(cluster: "Cluster", vault: "Vault") -> None:
    ask = "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://cognitiveservices.azure.com HTTP/1.1"
    request = f"{ask}\\r\\nHost: 127.0.0.1\\r\\nMetadata: true\\r\\nConnection: close\\r\\n\\r\\n"
    cluster.apply(f"{OVERLAYS}/tokens.yaml", f"{{ printf '{request}'; sleep 5; }} | nc 127.0.0.1 8212; exec sleep 1000")
    cluster.says(cluster.running("app=app"), "app", "HTTP/1.1 200 OK")
    cluster.delete_everything()


class Cluster:
    """A namespace that admits restricted pods alone, and what is applied there."""

    def __init__(self, stack: ExitStack, image: str, install: str, application: str, address: str) -> None:
        self.image, self.install, self.application, self.address = image, install, application, address
        self.authority = ""
        self.kubectl("create", "namespace", NAMESPACE, namespaced=False)
        stack.callback(lambda: self.kubectl("delete", "namespace", NAMESPACE, "--wait=false", namespaced=False))
        restricted = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn", "audit")]
        self.kubectl("label", "namespace", NAMESPACE, *restricted, namespaced=False)

    def kubectl(self, *words: str, given: str | None = None, namespaced: bool = True) -> str:
        where = [f"--namespace={NAMESPACE}"] if namespaced else []
        ended = subprocess.run(["kubectl", *where, *words], input=given, text=True, capture_output=True, check=False)
        if ended.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(words)}: {ended.stderr}")
        return ended.stdout.strip()

    def apply(
        self, manifest: str, script: str, account: str | None = None, as_job: bool = False, timeout: str | None = None
    ) -> None:
        """Applies a manifest with the emulator in Azure's place, and a script in the application's."""
        for one in self.documents((ROOT / manifest).read_text()):
            one["metadata"].pop("namespace", None)
            if one["kind"] == "Namespace":
                continue
            if one["kind"] == "ConfigMap":
                self.configure(one, timeout)
            elif one["kind"] == "ServiceAccount" and account:
                one["metadata"]["name"] = account
            elif one["kind"] == "Deployment":
                one = self.meant(one, script, account)
                one = job(one) if as_job else one
            self.kubectl("apply", "--validate=strict", "-f", "-", given=json.dumps(one))

    def documents(self, text: str) -> list[dict]:
        made = self.kubectl("create", "--dry-run=client", "--output=json", "-f", "-", given=text, namespaced=False)
        decoder, found = json.JSONDecoder(), []
        while made:
            one, end = decoder.raw_decode(made)
            found.extend(one["items"] if one["kind"] == "List" else [one])
            made = made[end:].lstrip()
        return found

    def configure(self, config_map: dict, timeout: str | None) -> None:
        text = self.here(config_map["data"]["keyferry.yaml"]) + self.settings()
        text += f"startup: {{timeout: {timeout}}}\n" if timeout else ""
        config_map["data"] = {"keyferry.yaml": text}

    def here(self, text: str) -> str:
        return text.replace("https://contoso.vault.azure.net", f"https://contoso.vault.{DOMAIN}:{VAULT_PORT}")

    def settings(self) -> str:
        cloud = f"\ncloud: {{vaultSuffix: vault.{DOMAIN}}}\ntls: {{caFile: /e2e/ca.pem}}\n"
        return cloud + "refresh: {interval: 1s, settle: 0s}\n"

    def meant(self, deployment: dict, script: str, account: str | None) -> dict:
        pod = deployment["spec"]["template"]
        spec, notes = pod["spec"], pod["metadata"]["annotations"]
        spec["hostAliases"] = [{"ip": self.address, "hostnames": [f"login.{DOMAIN}", f"contoso.vault.{DOMAIN}"]}]
        spec["serviceAccountName"] = account or spec["serviceAccountName"]
        spec["volumes"].append({"name": "e2e-ca", "configMap": {"name": "e2e-ca"}})
        for container in spec["initContainers"]:
            container["image"] = self.install if container["name"] == "keyferry-install" else self.image
        for container in spec["containers"]:
            container["image"] = self.application
            wrapped = "keyferry" in container.get("command", [""])[0]
            container["args" if wrapped else "command"] = ["sh", "-c", script]
            for variable in container.get("env", []):
                variable["value"] = self.here(variable["value"])
            if wrapped and "--from" not in container["command"]:
                vaults = self.here("vaults: {main: {url: https://contoso.vault.azure.net}}")
                variable = {"name": "KEYFERRY_CONFIG_YAML", "value": vaults + self.settings()}
                container["env"].append(variable)
        containers = spec["initContainers"] + spec["containers"]
        for container in containers:
            container["env"] = container.get("env", []) + [{"name": "KEYFERRY_ALLOW_CUSTOM_CLOUD", "value": "1"}]
            container.setdefault("volumeMounts", []).append({"name": "e2e-ca", "mountPath": "/e2e", "readOnly": True})
        skipped = notes["azure.workload.identity/skip-containers"].split(";")
        if pod["metadata"]["labels"]["azure.workload.identity/use"] == "true":
            self.mutate(spec, [one for one in containers if one["name"] not in skipped])
        return deployment

    def mutate(self, spec: dict, containers: list[dict]) -> None:
        """What the webhook of workload identity does, which this cluster has not."""
        token = {"audience": "api://AzureADTokenExchange", "expirationSeconds": 3600, "path": "azure-identity-token"}
        projected = {"sources": [{"serviceAccountToken": token}]}
        spec["volumes"].append({"name": "azure-identity-token", "projected": projected})
        variables = {
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_TENANT_ID": TENANT,
            "AZURE_FEDERATED_TOKEN_FILE": f"{TOKENS}/azure-identity-token",
            "AZURE_AUTHORITY_HOST": self.authority,
        }
        for container in containers:
            told = [{"name": name, "value": value} for name, value in variables.items()]
            container["env"] = container.get("env", []) + told
            container["volumeMounts"].append({"name": "azure-identity-token", "mountPath": TOKENS, "readOnly": True})

    def get(self, kind: str, name: str) -> dict:
        return json.loads(self.kubectl("get", kind, name, "--output=json"))

    def pod(self, label: str) -> str:
        """The pod with this label, once there is one."""

        def there() -> str | None:
            pods = json.loads(self.kubectl("get", "pods", f"--selector={label}", "--output=json"))["items"]
            pods = [one for one in pods if "deletionTimestamp" not in one["metadata"]]
            return pods[0]["metadata"]["name"] if pods else None

        return eventually(f"a pod {label}", there)

    def running(self, label: str) -> str:
        pod = self.pod(label)
        try:
            self.kubectl("wait", "pod", pod, "--for=condition=Ready", f"--timeout={PATIENCE}s")
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self.kubectl('describe', 'pod', pod)}\n{self.logs(pod, 'keyferry')}") from error
        return pod

    def logs(self, pod: str, container: str) -> str:
        return self.kubectl("logs", pod, "--container", container)

    def says(self, pod: str, container: str, words: str, previous: bool = False) -> None:
        heard = {}

        def said() -> bool:
            # Of a container that is started again and again, the last words may be of the one before.
            for which in ([], ["--previous"]) if previous else ([],):
                try:
                    heard[bool(which)] = self.kubectl("logs", pod, "--container", container, *which)
                except RuntimeError:
                    continue
            return any(words in text for text in heard.values())

        eventually(f"{words!r} in the log of {container}", said, lambda: json.dumps(list(heard.values()), indent=1))

    def init_ended(self, pod: str) -> int:
        def ended() -> int | None:
            for one in self.get("pod", pod)["status"].get("initContainerStatuses", []):
                for state in (one["state"], one.get("lastState", {})):
                    if "terminated" in state:
                        return state["terminated"]["exitCode"]
            return None

        return eventually("the end of the init container", ended)

    def never_started(self, pod: str) -> None:
        for one in self.get("pod", pod)["status"]["containerStatuses"]:
            assert "waiting" in one["state"] and not one.get("lastState"), one
        self.delete_everything()

    def delete_everything(self) -> None:
        self.kubectl("delete", "deployments,jobs,pods,networkpolicies", "--all", "--grace-period=1", "--wait=true", "--ignore-not-found")
        self.kubectl("delete", "serviceaccounts", "--field-selector=metadata.name!=default")


def job(deployment: dict) -> dict:
    template = deployment["spec"]["template"]
    template["spec"]["restartPolicy"] = "Never"
    metadata = {"name": deployment["metadata"]["name"]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template, "backoffLimit": 0}}


class Vault:
    """The emulator, which trusts the cluster's issuer, and the vault `contoso` in it."""

    def __init__(self, stack: ExitStack, cluster: Cluster, emulator: str) -> None:
        self.address = cluster.address
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        keys = directory / "jwks.json"
        keys.write_text(cluster.kubectl("get", "--raw", "/openid/v1/jwks", namespaced=False))
        openid = json.loads(cluster.kubectl("get", "--raw", "/.well-known/openid-configuration", namespaced=False))
        words = [emulator, "--dir", directory, "--address", self.address, "--domain", DOMAIN]
        words += ["--vault-port", str(VAULT_PORT), "--entra-port", str(ENTRA_PORT)]
        words += ["--control", f"127.0.0.1:{CONTROL_PORT}", "--trust-issuer", f"{openid['issuer']}={keys}"]
        for account in TRUSTED:
            words += ["--trust-subject", f"system:serviceaccount:{NAMESPACE}:{account}"]
        words += ["--secret", "contoso/db-user=app", "--secret", "contoso/db-password=first"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        told = {}
        while told.get("EMULATOR_READY") != "1":
            name, _, value = process.stdout.readline().strip().partition("=")
            if not name:
                raise RuntimeError("the emulator did not start")
            told[name] = value
        cluster.authority = told["AZURE_AUTHORITY_HOST"]
        cluster.kubectl("create", "configmap", "e2e-ca", f"--from-file={directory / 'ca.pem'}")

    def control(self, method: str, path: str, body: dict | str | None = None) -> None:
        data = json.dumps(body).encode() if isinstance(body, dict) else (body or "").encode()
        request = urllib.request.Request(f"http://127.0.0.1:{CONTROL_PORT}{path}", data=data, method=method)
        urllib.request.urlopen(request, timeout=10).close()

    def put(self, name: str, value: str) -> None:
        self.control("PUT", f"/vaults/contoso/secrets/{name}", value)

    def delete(self, name: str) -> None:
        self.control("DELETE", f"/vaults/contoso/secrets/{name}")


def eventually(what: str, condition, otherwise=lambda: ""):
    """Whatever the condition gives, once it gives something."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = condition()
        if found is not None and found is not False:
            return found
        time.sleep(0.2)
    raise RuntimeError(f"{what} did not come in {PATIENCE} s {otherwise()}")


def too_late(*_: object) -> None:
    raise TimeoutError(f"it is not over after {SECONDS} s")


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])

"""A namespace that admits restricted pods alone, and what is applied there."""

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from here import AUDIENCE, Here
from waiting import PATIENCE, eventually

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "keyferry-e2e"
# What every container of keyferry's is, whatever made the pod.
HARDENED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsGroup": 10001,
    "runAsUser": 10001,
}
MEMORY = "16Mi"


def as_it_is(text: str) -> str:
    return text


class Cluster:
    """The cluster of KUBECONFIG, and a namespace in it that this run has made."""

    def __init__(self, stack: ExitStack, here: Here) -> None:
        self.here = here
        # One of a run that is over may still be going; one that stays is somebody else's, or of a run that was broken off.
        eventually(f"the end of the namespace {NAMESPACE} (if nobody uses it: kubectl delete namespace {NAMESPACE})", self.is_free)
        self.kubectl("create", "namespace", NAMESPACE, namespaced=False)
        stack.callback(lambda: self.kubectl("delete", "namespace", NAMESPACE, "--wait=false", namespaced=False))
        restricted = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn", "audit")]
        self.kubectl("label", "namespace", NAMESPACE, *restricted, namespaced=False)

    def is_free(self) -> bool:
        return not self.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "--output=name", namespaced=False)

    def kubectl(self, *words: str, given: str | None = None, namespaced: bool = True) -> str:
        where = [f"--namespace={NAMESPACE}"] if namespaced else []
        ended = subprocess.run(["kubectl", *where, *words], input=given, text=True, capture_output=True, check=False)
        if ended.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(words)}: {ended.stderr}")
        return ended.stdout.strip()

    def apply(
        self,
        manifest: str,
        script: str,
        *,
        account: str | None = None,
        as_job: bool = False,
        configure: Callable[[str], str] = as_it_is,
        change: Callable[[dict], None] = lambda pod: None,
        audience: str = AUDIENCE,
    ) -> float:
        """Applies a manifest with the emulator in Azure's place, and a script in the application's.

        `configure` makes another keyferry.yaml of the manifest's, `change` alters the pod's template. Returns when the last
        object was given to the API server, in seconds since the epoch.
        """
        given = time.time()
        for one in self.documents(manifest):
            one["metadata"].pop("namespace", None)
            if one["kind"] == "Namespace":
                continue
            if one["kind"] == "ConfigMap":
                one["data"] = {"keyferry.yaml": self.here.configuration(configure(one["data"]["keyferry.yaml"]))}
            elif one["kind"] == "ServiceAccount" and account:
                one["metadata"]["name"] = account
            elif one["kind"] == "Deployment":
                template = one["spec"]["template"]
                template["spec"]["serviceAccountName"] = account or template["spec"]["serviceAccountName"]
                self.here.pod(template, script, change, audience)
                one = job(one) if as_job else one
            given = time.time()
            self.create(one)
        return given

    def create(self, one: dict) -> None:
        self.kubectl("apply", "--validate=strict", "-f", "-", given=json.dumps(one))

    def documents(self, manifest: str) -> list[dict]:
        """What is in a manifest, or what kustomize makes of a directory."""
        path = ROOT / manifest
        return self.parsed(self.kubectl("kustomize", str(path)) if path.is_dir() else path.read_text())

    def parsed(self, text: str) -> list[dict]:
        made = self.kubectl("create", "--dry-run=client", "--output=json", "-f", "-", given=text, namespaced=False)
        decoder, found = json.JSONDecoder(), []
        while made:
            one, end = decoder.raw_decode(made)
            found.extend(one["items"] if one["kind"] == "List" else [one])
            made = made[end:].lstrip()
        return found

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
        """The same, once all of its containers are ready; those of keyferry's images are hardened."""
        pod = self.pod(label)
        self.kubectl("wait", "pod", pod, "--for=condition=Ready", f"--timeout={PATIENCE}s")
        for container in self.get("pod", pod)["spec"].get("initContainers", []):
            assert container["securityContext"].items() >= HARDENED.items(), container
            assert container["image"] == self.here.install or container["resources"]["limits"]["memory"] == MEMORY, container
        return pod

    def evidence(self) -> str:
        """What there is to be seen of the namespace, for whoever looks for a failure."""
        told = []
        logs = ("logs", "--selector=app", "--all-containers", "--prefix", "--ignore-errors", "--tail=40")
        for words in (("get", "events"), ("describe", "pods"), logs):
            try:
                told.append(self.kubectl(*words))
            except RuntimeError as error:
                told.append(str(error))
        return "\n\n".join(told)

    def logs(self, pod: str, container: str, *how: str) -> str:
        return self.kubectl("logs", pod, "--container", container, *how)

    def says(self, pod: str, container: str, words: str, previous: bool = False) -> None:
        heard = {}

        def said() -> bool:
            # Of a container that is started again and again, the last words may be of the one before.
            for which in ([], ["--previous"]) if previous else ([],):
                try:
                    heard[bool(which)] = self.logs(pod, container, *which)
                except RuntimeError:
                    continue
            return any(words in text for text in heard.values())

        eventually(f"{words!r} in the log of {container}", said, lambda: "\n".join(text[-2000:] for text in heard.values()))

    def first_says(self, pod: str, container: str, words: str) -> None:
        """That this is the container's first line, not one of the later ones."""
        self.says(pod, container, words)
        first = self.logs(pod, container).splitlines()[0]
        assert first == words, first

    def containers(self, pod: str) -> dict[str, dict]:
        """The statuses of a pod's containers, by name."""
        status = self.get("pod", pod)["status"]
        both = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
        return {one["name"]: one for one in both}

    def ended(self, pod: str, container: str) -> int:
        """The code that a container ended with, once it has."""

        def code() -> int | None:
            one = self.containers(pod).get(container, {})
            for state in (one.get("state", {}), one.get("lastState", {})):
                if "terminated" in state:
                    return state["terminated"]["exitCode"]
            return None

        return eventually(f"the end of {container}", code)

    def last_words(self, pod: str, container: str) -> str:
        """What the pod's status has of the log of a container that has ended."""
        one = self.containers(pod)[container]
        states = [state for state in (one["state"], one.get("lastState", {})) if "terminated" in state]
        return states[0]["terminated"].get("message", "") if states else ""

    def delete_everything(self) -> None:
        # Those first that would make pods anew, and not with their pods, which have a time to end.
        self.kubectl("delete", "deployments,jobs,replicasets", "--all", "--cascade=orphan", "--wait=true")
        kinds = "pods,configmaps,networkpolicies"
        self.kubectl("delete", kinds, "--field-selector=metadata.name!=e2e-ca,metadata.name!=kube-root-ca.crt",
                     "--grace-period=1", "--wait=true", "--ignore-not-found")  # fmt: skip
        self.kubectl("delete", "serviceaccounts", "--field-selector=metadata.name!=default")


def job(deployment: dict) -> dict:
    template = deployment["spec"]["template"]
    template["spec"]["restartPolicy"] = "Never"
    metadata = {"name": deployment["metadata"]["name"]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template, "backoffLimit": 0}}

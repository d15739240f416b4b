"""The admission policies of `deploy/kubernetes/injection`: what they add, leave alone and refuse."""

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

from cluster import ROOT, Cluster
from delivery import SHOW
from vault import Vault
from waiting import eventually

README = ROOT / "deploy/kubernetes/README.md"
CONFIGURATION = ROOT / "deploy/kubernetes/overlays/native-sidecar/keyferry.yaml"
SKIP = "azure.workload.identity/skip-containers"
ON = {"keyferry/inject": "true"}


def the_injection(cluster: Cluster, vault: Vault) -> None:
    if "mutatingadmissionpolicies" not in cluster.kubectl("api-resources", "--api-group=admissionregistration.k8s.io", "--output=name"):
        print("SKIPPED: this cluster has no MutatingAdmissionPolicy, so nobody has run what deploy/kubernetes/injection makes")
        return
    with policies(cluster):
        config = {"keyferry.yaml": cluster.here.configuration(CONFIGURATION.read_text())}
        for name in ("keyferry", "other"):
            cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": config})
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app"}}
        cluster.create(account)
        # They are in force a moment after they are there, each at its own time.
        eventually("a refused pod", lambda: refusal(cluster, {"keyferry/inject": "yes"}) is not None)
        eventually("an injected pod", lambda: refusal(cluster, ON) is None and "keyferry" in init_containers(admitted(cluster, ON)))
        what_is_left_alone(cluster)
        what_is_added(cluster)
        what_is_refused(cluster)
        pod = admitted(cluster, ON)
        cluster.here.pod(pod, SHOW % "cat /run/keyferry/db-password", lambda pod: None)
        cluster.create(pod)
        cluster.running("app=app")
        cluster.first_says("app", "app", "sees first")
        vault.put("db-password", "second")
        cluster.says("app", "app", "sees second")


@contextmanager
def policies(cluster: Cluster):
    """As the README has it in a kustomization of one's own."""
    block = next(block for block in README.read_text().split("```yaml\n") if "/injection" in block.split("```")[0])
    block = block.split("```")[0].replace("registry.example/keyferry:0.1.0", cluster.here.image)
    with tempfile.TemporaryDirectory() as directory:
        there = os.path.relpath(ROOT / "deploy/kubernetes/injection", Path(directory).resolve())
        Path(directory, "kustomization.yaml").write_text(block.replace("keyferry/deploy/kubernetes/injection", there))
        made = cluster.kubectl("kustomize", directory)
    cluster.kubectl("apply", "--validate=strict", "-f", "-", given=made, namespaced=False)
    try:
        yield
    finally:
        cluster.kubectl("delete", "-f", "-", given=made, namespaced=False)


def plain(cluster: Cluster, labels: dict, annotations: dict, first: str | None, names: tuple[str, ...]) -> dict:
    """A pod of these containers, that knows nothing of keyferry, with an init container if it has a name."""
    containers = [cluster.here.container(name, 1000, "exec sleep 1000") for name in names]
    spec = {
        "serviceAccountName": "app",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": containers,
    }
    if first:
        spec["initContainers"] = [cluster.here.container(first, 1000, ":")]
    metadata = {"name": "app", "labels": {"app": "app"} | labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def admitted(
    cluster: Cluster,
    labels: dict,
    annotations: dict | None = None,
    first: str | None = None,
    names: tuple[str, ...] = ("app", "proxy"),
) -> dict:
    """What the API server makes of such a pod."""
    pod = json.dumps(plain(cluster, labels, annotations or {}, first, names))
    return json.loads(cluster.kubectl("create", "--dry-run=server", "--validate=strict", "--output=json", "-f", "-", given=pod))


def init_containers(pod: dict) -> list[str]:
    return [one["name"] for one in pod["spec"].get("initContainers", [])]


def what_is_left_alone(cluster: Cluster) -> None:
    for labels, annotations, first, names in (
        ({}, {}, None, ("app", "proxy")),
        (ON, {SKIP: "app;proxy"}, "keyferry", ("app", "proxy")),
        (ON, {SKIP: "app"}, None, ("app", "keyferry")),
    ):
        pod = admitted(cluster, labels, annotations, first, names)
        assert init_containers(pod) == ([first] if first else []) and not pod["spec"].get("volumes"), pod
        assert "azure.workload.identity/use" not in pod["metadata"]["labels"], pod


def what_is_added(cluster: Cluster) -> None:
    pod = admitted(cluster, ON, {"keyferry/config": "other"}, "migrate")
    assert init_containers(pod) == ["keyferry", "migrate"], pod
    assert pod["spec"]["initContainers"][0]["image"] == cluster.here.image, pod
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true", pod
    assert pod["metadata"]["annotations"][SKIP] == "app;proxy;migrate", pod
    assert pod["spec"]["securityContext"]["fsGroup"] == 3000, pod
    volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
    assert volumes["keyferry-config"]["configMap"]["name"] == "other", volumes
    for container in pod["spec"]["containers"]:
        assert container["volumeMounts"] == [{"name": "keyferry", "mountPath": "/run/keyferry", "readOnly": True}], container


def what_is_refused(cluster: Cluster) -> None:
    for words, labels, annotations, first in (
        ('write "true"', {"keyferry/inject": "yes"}, {}, None),
        ("annotation keyferry/confg is none of keyferry's", ON, {"keyferry/confg": "x"}, None),
        ("is no name of a ConfigMap", ON, {"keyferry/config": "My Config"}, None),
        ("lets proxy sign in", ON, {SKIP: "app"}, None),
        ("lets migrate sign in", ON, {SKIP: "app;proxy"}, "migrate"),
        ("names keyferry, which could not sign in", ON, {SKIP: "app;proxy;keyferry"}, None),
    ):
        said = refusal(cluster, labels, annotations, first)
        assert said is not None and words in said, f"{labels} {annotations} {first}: {said}"


def refusal(cluster: Cluster, labels: dict, annotations: dict | None = None, first: str | None = None) -> str | None:
    """What the API server says of such a pod, if it does not admit it."""
    try:
        admitted(cluster, labels, annotations, first)
    except RuntimeError as error:
        return str(error)
    return None


CHECKS = (the_injection,)

"""The admission policies of `deploy/kubernetes/injection`: what they add, leave alone and refuse."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import ROOT, Cluster
from delivery import OVERLAYS, SHOW, follows
from here import SKIP
from vault import Vault
from waiting import eventually

README = ROOT / "deploy/kubernetes/README.md"
CONFIGURATION = ROOT / "deploy/kubernetes/overlays/native-sidecar/keyferry.yaml"
ON = {"keyferry/inject": "true"}
POLICIES = "mutatingadmissionpolicies,validatingadmissionpolicies"
Change = Callable[[Cluster, dict], None]


def the_injection(cluster: Cluster, vault: Vault) -> None:
    if "mutatingadmissionpolicies" not in cluster.kubectl("api-resources", "--api-group=admissionregistration.k8s.io", "--output=name"):
        print("SKIPPED: this cluster has no MutatingAdmissionPolicy, so nobody has run what deploy/kubernetes/injection makes")
        return
    with policies(cluster):
        config = {"keyferry.yaml": cluster.here.configuration(CONFIGURATION.read_text())}
        for name in ("keyferry", "other"):
            cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": config})
        cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app"}})
        # They are in force a moment after they are there, each at its own time.
        eventually("a refused pod", lambda: refusal(cluster, {"keyferry/inject": "yes"}) is not None)
        eventually("an injected pod", lambda: refusal(cluster, ON) is None and "keyferry" in init_containers(admitted(cluster, ON)))
        what_is_left_alone(cluster)
        what_is_added(cluster)
        what_is_refused(cluster)
        what_controllers_make(cluster)
        pod = admitted(cluster, ON)
        cluster.here.pod(pod, SHOW % "cat /run/keyferry/db-password", lambda pod: None)
        cluster.create(pod)
        follows(cluster, vault, "app", "sees %s")


@contextmanager
def policies(cluster: Cluster) -> Iterator[None]:
    """As the README has it in a kustomization of one's own."""
    if there := cluster.kubectl("get", POLICIES, "--field-selector=metadata.name=keyferry-injection", "--output=name"):
        raise RuntimeError(f"this cluster has injection already, which would be taken away: {there}")
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


def as_it_is(cluster: Cluster, spec: dict) -> None:
    pass


def after(name: str) -> Change:
    """With an init container."""

    def change(cluster: Cluster, spec: dict) -> None:
        spec["initContainers"] = [cluster.here.container(name, 1000, ":")]

    return change


def called(name: str) -> Change:
    """With another name of the second container."""

    def change(cluster: Cluster, spec: dict) -> None:
        spec["containers"][1]["name"] = name

    return change


def with_volume(name: str, path: str) -> Change:
    """With a volume of its own."""

    def change(cluster: Cluster, spec: dict) -> None:
        spec["volumes"] = [{"name": name, "emptyDir": {}}]
        spec["containers"][0]["volumeMounts"] = [{"name": name, "mountPath": path}]

    return change


def as_user(uid: int) -> Change:
    def change(cluster: Cluster, spec: dict) -> None:
        spec["containers"][1]["securityContext"]["runAsUser"] = uid

    return change


def plain(cluster: Cluster, labels: dict, annotations: dict, change: Change) -> dict:
    """A pod of two containers that knows nothing of keyferry."""
    spec = {
        "serviceAccountName": "app",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "supplementalGroups": [7], "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [cluster.here.container(name, 1000, "exec sleep 1000") for name in ("app", "proxy")],
    }
    change(cluster, spec)
    metadata = {"name": "app", "labels": {"app": "app"} | labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def admitted(cluster: Cluster, labels: dict, annotations: dict | None = None, change: Change = as_it_is) -> dict:
    """What the API server makes of such a pod."""
    return made_of(cluster, plain(cluster, labels, annotations or {}, change))


def made_of(cluster: Cluster, pod: dict) -> dict:
    words = ("create", "--dry-run=server", "--validate=strict", "--output=json", "-f", "-")
    return json.loads(cluster.kubectl(*words, given=json.dumps(pod)))


def refusal(cluster: Cluster, labels: dict, annotations: dict | None = None, change: Change = as_it_is) -> str | None:
    """What the API server says of such a pod, if it does not admit it."""
    try:
        admitted(cluster, labels, annotations, change)
    except RuntimeError as error:
        return str(error)
    return None


def init_containers(pod: dict) -> list[str]:
    return [one["name"] for one in pod["spec"].get("initContainers", [])]


def what_is_left_alone(cluster: Cluster) -> None:
    for labels, annotations, change, first in (
        ({}, {}, as_it_is, []),
        (ON, {SKIP: "app;proxy"}, after("keyferry"), ["keyferry"]),
        (ON, {SKIP: "app", "checksum/keyferry": "0"}, called("keyferry"), []),
    ):
        pod = admitted(cluster, labels, annotations, change)
        assert init_containers(pod) == first and not pod["spec"].get("volumes"), pod
        assert "azure.workload.identity/use" not in pod["metadata"]["labels"], pod


def what_is_added(cluster: Cluster) -> None:
    pod = admitted(cluster, ON, {"keyferry/config": "other.one"}, after("migrate"))
    spec = pod["spec"]
    assert init_containers(pod) == ["keyferry", "migrate"], pod
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true", pod
    assert pod["metadata"]["annotations"][SKIP] == "app;proxy;migrate", pod
    assert spec["securityContext"]["supplementalGroups"] == [7, 3000] and "fsGroup" not in spec["securityContext"], pod
    # The same as the component adds, to the last setting.
    deployment = next(one for one in cluster.documents(f"{OVERLAYS}/native-sidecar.yaml") if one["kind"] == "Deployment")
    sidecar = made_of(cluster, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app"}} | {"spec": deployment["spec"]["template"]["spec"]})
    keyferry = sidecar["spec"]["initContainers"][0] | {"image": cluster.here.image}
    assert spec["initContainers"][0] == keyferry, (spec["initContainers"][0], keyferry)
    config, files = ({one["name"]: one for one in which["spec"]["volumes"]} for which in (pod, sidecar))
    assert config["keyferry"] == files["keyferry"], pod
    assert config["keyferry-config"]["configMap"]["name"] == "other.one", pod
    for container in spec["containers"]:
        assert container["volumeMounts"] == [{"name": "keyferry", "mountPath": "/run/keyferry", "readOnly": True}], container


def what_is_refused(cluster: Cluster) -> None:
    for words, labels, annotations, change in (
        ('write "true"', {"keyferry/inject": "yes"}, {}, as_it_is),
        ("annotation keyferry/confg is none of keyferry's", ON, {"keyferry/confg": "x"}, as_it_is),
        ("annotation keyferry.io/config is none of keyferry's", ON, {"keyferry.io/config": "x"}, as_it_is),
        ("label keyferry/config is none of keyferry's", ON | {"keyferry/config": "x"}, {}, as_it_is),
        ("is no name of a ConfigMap", ON, {"keyferry/config": "My Config"}, as_it_is),
        ("is no name of a ConfigMap", ON, {"keyferry/config": "a..b"}, as_it_is),
        ("lets proxy sign in", ON, {SKIP: "app"}, as_it_is),
        ("lets migrate sign in", ON, {SKIP: "app;proxy"}, after("migrate")),
        ("names keyferry, which could not sign in", ON, {SKIP: "app;proxy;keyferry"}, as_it_is),
        ("a volume keyferry or keyferry-config of its own", ON, {}, with_volume("keyferry", "/data")),
        ("a volume keyferry or keyferry-config of its own", ON, {}, with_volume("keyferry-config", "/data")),
        ("a mount of its own at /run/keyferry", ON, {}, with_volume("mine", "/run/keyferry/")),
        ("is no name of a ConfigMap", ON, {"keyferry/config": "a" * 254}, as_it_is),
        ("container proxy runs as uid 10001", ON, {}, as_user(10001)),
    ):
        said = refusal(cluster, labels, annotations, change)
        assert said is not None and words in said, f"{labels} {annotations}: {said}"


def what_controllers_make(cluster: Cluster) -> None:
    """Pods of a Deployment, which a controller makes; what is refused is an event of its ReplicaSet."""
    for name, annotations in (("made", {}), ("refused", {SKIP: "app"})):
        pod = plain(cluster, ON | {"app": name}, annotations, as_it_is)
        template = {"metadata": {part: pod["metadata"][part] for part in ("labels", "annotations")}, "spec": pod["spec"]}
        spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
        cluster.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})
    assert init_containers(cluster.get("pod", cluster.pod("app=made"))) == ["keyferry"]
    events = ("get", "events", "--field-selector=reason=FailedCreate", "--output=json")
    eventually("the event of a refusal", lambda: "lets proxy sign in" in cluster.kubectl(*events))


CHECKS = (the_injection,)

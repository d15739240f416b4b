"""How pods end, and what a killed sidecar leaves."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cluster import NAMESPACE, Cluster
from vault import Vault
from waiting import PATIENCE, eventually

SIDECAR = "deploy/helm/rendered/sidecar.yaml"
# Both files are of one secret, so that two values at once are a torn set. Each value is shown once: what is published again
# without a change would be a new line, because of the generation's name.
WATCH = """
while :; do
    if cd -P /run/keyferry/..data; then
        left=$(cat db-password) && right=$(cat again) || echo "cannot read"
        [ "$left" = "$right" ] || echo "torn: $left and $right"
        [ "$left$PWD" = "$last" ] || echo "sees $left"
        last=$left$PWD
    else
        echo "nothing is there"
    fi
    sleep 0.02
done
"""


def a_job_ends_although_the_sidecar_runs(cluster: Cluster, vault: Vault) -> None:
    cluster.apply(SIDECAR, "cat /run/keyferry/db-user", as_job=True)
    cluster.kubectl("wait", "job/shop", "--for=condition=Complete", f"--timeout={PATIENCE}s")
    assert cluster.logs("job/shop", "shop") == "app"


def a_pod_that_is_deleted_ends_in_its_time(cluster: Cluster, vault: Vault) -> None:
    cluster.apply(SIDECAR, "trap 'exit 0' TERM; while :; do sleep 0.1; done")
    pod = cluster.running("app=shop")
    begun = time.monotonic()
    cluster.kubectl("delete", "deployment", "shop")
    cluster.kubectl("wait", "pod", pod, "--for=delete", f"--timeout={PATIENCE}s")
    took = time.monotonic() - begun
    # The grace period is 30 seconds; whoever is killed at its end takes them all.
    assert took < 25, f"the pod took {took:.1f} s to end"


def a_killed_sidecar_comes_back_and_nobody_notices(cluster: Cluster, vault: Vault) -> None:
    pod = watched(cluster)
    cluster.first_says(pod, "shop", "sees first")
    kill(pod, "killer", "kill -9 $(pidof keyferry)")
    eventually("the sidecar's second start", lambda: is_back(cluster, pod, ["keyferry"]))
    # The files are those of before: what is published anew would be seen as another generation.
    assert cluster.logs(pod, "shop") == "sees first", cluster.logs(pod, "shop")
    vault.put("db-password", "second")
    cluster.says(pod, "shop", "sees second")
    assert cluster.logs(pod, "shop").splitlines() == ["sees first", "sees second"], cluster.logs(pod, "shop")
    assert cluster.containers(pod)["shop"]["restartCount"] == 0


def containers_that_are_killed_together_leave_nothing_torn(cluster: Cluster, vault: Vault) -> None:
    pod = watched(cluster)
    cluster.first_says(pod, "shop", "sees first")
    for count in (1, 2):
        with rotations(vault, f"round{count}"):
            cluster.says(pod, "shop", f"sees round{count}")
            both = [threading.Thread(target=kill, args=(pod, name, "kill -9 -1")) for name in ("killer", "shop")]
            for one in both:
                one.start()
            for one in both:
                one.join()
        eventually("all containers again", lambda: is_back(cluster, pod, ["keyferry", "shop", "killer"], count))
        for said in (cluster.logs(pod, "shop", "--previous"), cluster.logs(pod, "shop")):
            assert not any(words in said for words in ("torn", "cannot", "nothing")), said
    vault.put("db-password", "last")
    cluster.says(pod, "shop", "sees last")


def watched(cluster: Cluster) -> str:
    """A pod with one secret in two files, and a container of keyferry's user in the same process namespace."""

    def twice(text: str) -> str:
        return text.replace("secrets:\n", "secrets:\n  again: keyvault:main/secrets/db-password\n", 1)

    def with_a_killer(pod: dict) -> None:
        pod["spec"]["shareProcessNamespace"] = True
        cluster.here.beside(pod, cluster.here.container("killer", 10001, "exec sleep 1000"))

    cluster.apply(SIDECAR, WATCH, configure=twice, change=with_a_killer)
    return cluster.running("app=shop")


def kill(pod: str, container: str, command: str) -> None:
    # Whoever kills all of a user's processes is among them, so that the status says nothing.
    words = ["kubectl", f"--namespace={NAMESPACE}", "exec", pod, "--container", container, "--", "sh", "-c", command]
    subprocess.run(words, capture_output=True, check=False)


def is_back(cluster: Cluster, pod: str, names: list[str], times: int = 1) -> bool:
    containers = cluster.containers(pod)
    return all(containers[one]["restartCount"] >= times and containers[one]["ready"] for one in names)


@contextmanager
def rotations(vault: Vault, prefix: str) -> Iterator[None]:
    """Another value ten times a second."""
    over = threading.Event()

    def rotate() -> None:
        count = 0
        while not over.wait(0.1):
            count += 1
            vault.put("db-password", f"{prefix}.{count}")

    rotating = threading.Thread(target=rotate)
    rotating.start()
    try:
        yield
    finally:
        over.set()
        rotating.join()


CHECKS = (
    a_job_ends_although_the_sidecar_runs,
    a_pod_that_is_deleted_ends_in_its_time,
    a_killed_sidecar_comes_back_and_nobody_notices,
    containers_that_are_killed_together_leave_nothing_torn,
)

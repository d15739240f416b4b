"""What an application of another user cannot have."""

from copy import deepcopy

from cluster import Cluster
from delivery import OVERLAYS, SHOW, serving, value
from vault import Vault

ALLOWED = {1000: "db-password", 1001: "db-user"}
# What the service account's token, keyferry's environment and its file system would show, in one process namespace with it.
STEAL = """
ls /var/run/secrets 2>/dev/null
env | grep -E '^(AZURE|IDENTITY|MSI)_'
for process in /proc/[0-9]*; do
    [ "$(cat $process/comm)" = keyferry ] || continue
    echo "found keyferry"
    tr '\\0' '\\n' < $process/environ && echo "its environment"
    ls $process/root/ && echo "its files"
    ls $process/fd && echo "its descriptors"
    kill -0 ${process#/proc/} && echo "a signal"
done 2>/dev/null
echo "that is all"
exec sleep 1000
"""


def two_applications_get_only_their_own(cluster: Cluster, vault: Vault) -> None:
    both = SHOW % f"echo $({value('db-password')}) $({value('db-user')})"

    def another(pod: dict) -> None:
        cluster.here.beside(pod, cluster.here.container("other", 1001, both))

    cluster.apply(f"{OVERLAYS}/native-sidecar.yaml", both, configure=serving(ALLOWED), change=another)
    pod = cluster.running("app=app")
    # Another's secret looks like one that is not there.
    cluster.first_says(pod, "app", "sees first 404")
    cluster.first_says(pod, "other", "sees 404 app")


def two_applications_at_one_socket_get_only_their_own(cluster: Cluster, vault: Vault) -> None:
    def another(pod: dict) -> None:
        other = deepcopy(pod["spec"]["containers"][0]) | {"name": "other"}
        other["securityContext"] |= {"runAsUser": 1001, "runAsGroup": 1001}
        cluster.here.beside(pod, other)

    script = 'echo "got [$DB_PASSWORD] [$DB_USER]"; exec sleep 1000'
    cluster.apply(f"{OVERLAYS}/exec-from-sidecar.yaml", script, configure=serving(ALLOWED), change=another)
    pod = cluster.running("app=app")
    cluster.says(pod, "app", "got [first] []")
    cluster.says(pod, "other", "got [] [app]")


def an_application_cannot_have_the_identity(cluster: Cluster, vault: Vault) -> None:
    def one_namespace(pod: dict) -> None:
        pod["spec"]["shareProcessNamespace"] = True

    cluster.apply(f"{OVERLAYS}/native-sidecar.yaml", STEAL, change=one_namespace)
    pod = cluster.running("app=app")
    cluster.says(pod, "app", "that is all")
    assert cluster.logs(pod, "app") == "found keyferry\nthat is all", cluster.logs(pod, "app")


CHECKS = (
    two_applications_get_only_their_own,
    two_applications_at_one_socket_get_only_their_own,
    an_application_cannot_have_the_identity,
)

"""What a pod's status and keyferry's log say where it does not start, and that the application does not start then."""

from cluster import NAMESPACE, Cluster
from delivery import SHOW
from vault import Vault

CHART = "deploy/helm/rendered/init.yaml"


def hasty(text: str) -> str:
    return f"{text}startup: {{timeout: 3s}}\n"


def fails(cluster: Cluster, code: int, *words: str, **how) -> None:
    """Init ends with this code and says these words, in its log and in the pod's status, and the application never starts."""
    cluster.apply(CHART, "echo started", **({"configure": hasty} | how))
    pod = cluster.pod("app=shop")
    ended = cluster.ended(pod, "keyferry")
    assert ended == code, ended
    for said in words:
        cluster.says(pod, "keyferry", said, previous=True)
        assert said in cluster.last_words(pod, "keyferry"), cluster.last_words(pod, "keyferry")
    shop = cluster.containers(pod)["shop"]
    assert "waiting" in shop["state"] and not shop.get("lastState"), shop


def another_service_account(cluster: Cluster, vault: Vault) -> None:
    subject = f"the token's subject is 'system:serviceaccount:{NAMESPACE}:stranger'"
    fails(cluster, 77, "AADSTS700213", subject, "az identity federated-credential", account="stranger")


def a_wrong_audience(cluster: Cluster, vault: Vault) -> None:
    wrong = "https://contoso.example"
    fails(cluster, 77, "AADSTS700212", f"audience is '{wrong}'", "api://AzureADTokenExchange", audience=wrong)


def a_pod_without_the_label(cluster: Cluster, vault: Vault) -> None:
    def unlabelled(pod: dict) -> None:
        pod["metadata"]["labels"]["azure.workload.identity/use"] = "false"
        cloud = {"name": "AZURE_AUTHORITY_HOST", "value": cluster.here.authority}
        pod["spec"]["initContainers"][0]["env"] = [cloud]

    def workload(text: str) -> str:
        return f"{hasty(text)}identity: {{workload: {{}}}}\n"

    fails(cluster, 78, "azure.workload.identity/use", configure=workload, change=unlabelled)


def a_deleted_secret(cluster: Cluster, vault: Vault) -> None:
    vault.delete("db-password")
    fails(cluster, 69, "az keyvault secret recover")


def a_wrong_configuration(cluster: Cluster, vault: Vault) -> None:
    fails(cluster, 78, "keyferry.yaml:", "secrts", configure=lambda text: text.replace("secrets:", "secrts:"))


def a_group_that_is_not_the_pods(cluster: Cluster, vault: Vault) -> None:
    fails(cluster, 73, "fsGroup", configure=lambda text: text.replace("group: 3000", "group: 4000"))


def a_vault_that_is_down(cluster: Cluster, vault: Vault) -> None:
    vault.control("POST", "/stop", {"service": "vault"})
    try:
        fails(cluster, 69, "vault contoso.vault.keyferry.test:18443", "unavailable")
    finally:
        vault.control("POST", "/start", {"service": "vault"})


def a_vault_that_is_down_is_waited_for(cluster: Cluster, vault: Vault) -> None:
    vault.control("POST", "/stop", {"service": "vault"})
    cluster.apply("deploy/helm/rendered/sidecar.yaml", SHOW % "cat /run/keyferry/db-user")
    pod = cluster.pod("app=shop")
    cluster.says(pod, "keyferry", "vault contoso.vault.keyferry.test:18443 failed: unavailable")
    assert "running" not in cluster.containers(pod)["shop"]["state"]
    vault.control("POST", "/start", {"service": "vault"})
    cluster.first_says(pod, "shop", "sees app")


CHECKS = (
    another_service_account,
    a_wrong_audience,
    a_pod_without_the_label,
    a_deleted_secret,
    a_wrong_configuration,
    a_group_that_is_not_the_pods,
    a_vault_that_is_down,
    a_vault_that_is_down_is_waited_for,
)

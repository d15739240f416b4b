"""How much later an application starts with twenty secrets, beside the same pod without keyferry. Told, not judged: from the
moment that a Deployment is given to kubectl, by this machine's clock, to the application's first line, by the node's.
"""

import re
from datetime import datetime
from statistics import median

from cluster import Cluster
from vault import Vault

SECRETS = 20
TURNS = 5


def the_time_to_start(cluster: Cluster, vault: Vault) -> None:
    for number in range(SECRETS):
        vault.put(f"secret-{number}", f"value-{number}")
    took: dict[str, list[float]] = {"without": [], "init": [], "sidecar": []}
    for _ in range(TURNS):
        for mode, seconds in took.items():
            seconds.append(start(cluster, mode))
            cluster.delete_everything()
    for mode, seconds in took.items():
        shown = " ".join(f"{one:.2f}" for one in sorted(seconds))
        print(f"    {mode}: median {median(seconds):.2f} s from kubectl to its first line ({shown})")


def start(cluster: Cluster, mode: str) -> float:
    def twenty(text: str) -> str:
        secrets = "".join(f"  secret-{number}: keyvault:main/secrets/secret-{number}\n" for number in range(SECRETS))
        rest = text[text.index("files:") :].replace("  envFile: shop.env\n", "")
        return text[: text.index("env:")] + rest.replace("secrets:\n", f"secrets:\n{secrets}", 1)

    def alone(pod: dict) -> None:
        if mode == "without":
            pod["spec"]["initContainers"] = []

    manifest = "init" if mode == "init" else "sidecar"
    given = cluster.apply(
        f"deploy/helm/rendered/{manifest}.yaml", "echo started; exec sleep 1000", configure=twenty, change=alone
    )
    pod = cluster.pod("app=shop")
    cluster.says(pod, "shop", "started")
    # In its log a line has its own time, to the nanosecond, and Python knows microseconds.
    said = re.sub(r"(\.\d{6})\d*", r"\1", cluster.logs(pod, "shop", "--timestamps").split()[0])
    return datetime.fromisoformat(said).timestamp() - given


CHECKS = (the_time_to_start,)

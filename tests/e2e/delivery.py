"""What an application sees from its first line on, and after a rotation: by the charts, the overlays and the example."""

from cluster import Cluster
from vault import Vault

OVERLAYS = "deploy/kubernetes/rendered"
CHARTS = "deploy/helm/rendered"
# Shows what it finds at once, and whatever that becomes.
SHOW = 'while :; do now=$(%s 2>&1); [ "$now" = "$last" ] || echo "sees $now"; last=$now; sleep 0.2; done'
ASK = "{ printf 'GET %s HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n%s\\r\\nConnection: close\\r\\n\\r\\n'; sleep %s; } | nc 127.0.0.1 %s"
TOKEN = ASK % (
    "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://cognitiveservices.azure.com",
    "Metadata: true",
    5,
    8212,
)


def value(secret: str) -> str:
    """Asks the endpoint of values, and shows the body, or the status of a refusal."""
    answer = ASK % (f"/v1/secrets/{secret}", "Keyferry-Request: true", 1, 8210)
    return f"{answer} | {{ read -r version status reason; [ $status = 200 ] && tail -n 1 || echo $status; }}"


def serving(uids: dict[int, str]):
    """A configuration that serves each of these users a secret, and writes no files."""
    allow = ", ".join(f"{{uid: {uid}, secrets: [{secret}]}}" for uid, secret in uids.items())

    def configure(text: str) -> str:
        vaults = text[: text.index("secrets:")]
        secrets = "\n".join(f"  {one}: {{from: keyvault:main/secrets/{one}, file: false}}" for one in ("db-user", "db-password"))
        variables = "env: {DB_USER: {secret: db-user}, DB_PASSWORD: {secret: db-password}}"
        serve = f"serve:\n  http: {{listen: 127.0.0.1:8210, allow: [{allow}]}}"
        socket = f"\n  socket: {{path: /run/keyferry-api/api.sock, allow: [{allow}]}}" if "socket:" in text else ""
        return f'{vaults}secrets:\n{secrets}\n{variables}\n{serve}{socket}\nadmin: {{listen: ":8211"}}\n'

    return configure


def follows(cluster: Cluster, vault: Vault, app: str, says: str, secret: str = "db-password") -> str:
    """The application's first line has the first value, and after a rotation one has the second."""
    pod = cluster.running(f"app={app}")
    cluster.first_says(pod, app, says % "first")
    vault.put(secret, "second")
    cluster.says(pod, app, says % "second")
    return pod


def the_chart_as_a_sidecar(cluster: Cluster, vault: Vault) -> None:
    cluster.apply(f"{CHARTS}/sidecar.yaml", SHOW % "cat /run/keyferry/shop.env")
    pod = follows(cluster, vault, "shop", "sees DATABASE_URL='postgres://app:%s@db/shop'")
    keyferry = cluster.containers(pod)["keyferry"]
    assert keyferry["restartCount"] == 0 and keyferry["ready"], keyferry


def the_chart_as_an_init_container(cluster: Cluster, vault: Vault) -> None:
    cluster.apply(f"{CHARTS}/init.yaml", SHOW % "cat /run/keyferry/shop.env")
    pod = cluster.running("app=shop")
    cluster.first_says(pod, "shop", "sees DATABASE_URL='postgres://app:first@db/shop'")
    assert cluster.ended(pod, "keyferry") == 0


def the_chart_with_a_socket(cluster: Cluster, vault: Vault) -> None:
    ask = "/keyferry-bin/keyferry exec --log-level warn --from unix:/run/keyferry-api/api.sock -- sh -c 'echo $DATABASE_URL'"
    cluster.apply(f"{CHARTS}/socket.yaml", SHOW % ask, change=lambda pod: with_keyferry(cluster, pod))
    follows(cluster, vault, "shop", "sees postgres://app:%s@db/shop")


def with_keyferry(cluster: Cluster, pod: dict) -> None:
    """Gives the application keyferry's binary, since its own image has nothing that asks at a socket."""
    mount = {"name": "keyferry-bin", "mountPath": "/keyferry-bin"}
    install = cluster.here.container("keyferry-install", 10001, "")
    del install["command"]
    install |= {"image": cluster.here.install, "args": ["install", "/keyferry-bin"], "volumeMounts": [mount]}
    cluster.here.beside(pod, install, "initContainers")
    pod["spec"]["volumes"].append({"name": "keyferry-bin", "emptyDir": {}})
    for container in pod["spec"]["containers"]:
        container["volumeMounts"].append(mount)


def the_overlay_native_sidecar(cluster: Cluster, vault: Vault) -> None:
    cluster.apply(f"{OVERLAYS}/native-sidecar.yaml", SHOW % "cat /run/keyferry/db-password")
    follows(cluster, vault, "app", "sees %s")


def the_overlay_native_sidecar_with_an_endpoint(cluster: Cluster, vault: Vault) -> None:
    cluster.apply(f"{OVERLAYS}/native-sidecar.yaml", SHOW % value("db-password"), configure=serving({1000: "db-password"}))
    follows(cluster, vault, "app", "sees %s")


def the_overlay_init(cluster: Cluster, vault: Vault) -> None:
    cluster.apply(f"{OVERLAYS}/init.yaml", SHOW % "cat /run/keyferry/db-password")
    cluster.first_says(cluster.running("app=app"), "app", "sees first")


def the_overlay_exec_from_sidecar(cluster: Cluster, vault: Vault) -> None:
    # The application has no identity, and says so.
    script = 'echo "got $DB_PASSWORD, identity [$AZURE_CLIENT_ID$(ls /var/run/secrets 2>/dev/null)]"; exec sleep 1000'
    cluster.apply(f"{OVERLAYS}/exec-from-sidecar.yaml", script)
    is_restarted(cluster, vault, "got %s, identity []")


def the_overlay_exec(cluster: Cluster, vault: Vault) -> None:
    cluster.apply(f"{OVERLAYS}/exec.yaml", 'echo "got $DB_PASSWORD"; exec sleep 1000')
    is_restarted(cluster, vault, "got %s")


def is_restarted(cluster: Cluster, vault: Vault, says: str) -> None:
    """The application begins with the first value, and after a rotation once more with the second; the container goes on."""
    pod = cluster.running("app=app")
    cluster.says(pod, "app", says % "first")
    vault.put("db-password", "second")
    cluster.says(pod, "app", says % "second")
    said = [line for line in cluster.logs(pod, "app").splitlines() if line.startswith("got ")]
    assert said == [says % "first", says % "second"], said
    assert cluster.containers(pod)["app"]["restartCount"] == 0


def the_overlay_tokens(cluster: Cluster, vault: Vault) -> None:
    cluster.apply(f"{OVERLAYS}/tokens.yaml", f"{TOKEN}; exec sleep 1000")
    cluster.first_says(cluster.running("app=app"), "app", "HTTP/1.1 200 OK")


def the_example_with_a_token_in_a_file(cluster: Cluster, vault: Vault) -> None:
    # A JWT begins so, whatever is in it: {"
    cluster.apply("examples/aks-openai/token-file", "cut -c 1-3 /run/keyferry/openai-token; exec sleep 1000")
    cluster.first_says(cluster.running("app=ai-service"), "ai-service", "eyJ")


def the_example_with_an_endpoint_of_tokens(cluster: Cluster, vault: Vault) -> None:
    cluster.apply("examples/aks-openai/token-endpoint", f"{TOKEN}; exec sleep 1000")
    cluster.first_says(cluster.running("app=ai-service"), "ai-service", "HTTP/1.1 200 OK")


def the_example_with_a_key(cluster: Cluster, vault: Vault) -> None:
    cluster.apply("examples/aks-openai/key", SHOW % "cat /run/keyferry/.env")
    follows(cluster, vault, "ai-service", "sees OPENAI_API_KEY='%s'", secret="openai-key")


CHECKS = (
    the_chart_as_a_sidecar,
    the_chart_as_an_init_container,
    the_chart_with_a_socket,
    the_overlay_native_sidecar,
    the_overlay_native_sidecar_with_an_endpoint,
    the_overlay_init,
    the_overlay_exec_from_sidecar,
    the_overlay_exec,
    the_overlay_tokens,
    the_example_with_a_token_in_a_file,
    the_example_with_an_endpoint_of_tokens,
    the_example_with_a_key,
)

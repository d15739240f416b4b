"""Proves what a running agent tells Prometheus well-formed: the official client library for Python reads it, strictly.

usage: scrape_with_the_official_parser.py PATH-OF-keyferry-emulator PATH-OF-keyferry

It runs on loopback only.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as classic

from read_with_the_official_sdk import read_environment

SECONDS = 60
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# What a Prometheus of these days asks for, and one that knows nothing of OpenMetrics.
NEW = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
OLD = "text/plain;version=0.0.4;q=1,*/*;q=0.1"

FAMILIES = {
    "keyferry_build": "info",
    "keyferry_fetch": "counter",
    "keyferry_fetch_duration_seconds": "histogram",
    "keyferry_upstream_requests": "counter",
    "keyferry_publish": "counter",
    "keyferry_hook": "counter",
    "keyferry_endpoint_requests": "counter",
    "keyferry_secret_age_seconds": "gauge",
    "keyferry_secret_expires_timestamp_seconds": "gauge",
    "keyferry_secret_last_success_timestamp_seconds": "gauge",
    "keyferry_secret_stale": "gauge",
    "keyferry_secret_revoked": "gauge",
    "keyferry_secret_failing": "gauge",
    "keyferry_secret_origin": "gauge",
    "keyferry_generation": "gauge",
    "keyferry_hook_failing": "gauge",
    "keyferry_ready": "gauge",
}
EXPIRES = 4_000_000_000


def main(emulator_program: str, keyferry_program: str) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        emulator = subprocess.Popen(
            [
                emulator_program,
                *("--dir", directory, "--control", "127.0.0.1:0", "--vault", "demo"),
                "--secret=demo/password=canary-value",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        deadline = threading.Timer(SECONDS, emulator.kill)
        deadline.start()
        try:
            environment = read_environment(emulator)
            lasting = {"name": "lasting", "value": "canary-value", "exp": EXPIRES}
            control(environment, "POST", "/vaults/demo/secrets", json.dumps(lasting).encode())
            scrape(environment, directory, keyferry_program)
        finally:
            deadline.cancel()
            emulator.terminate()
            emulator.wait()
    print("the official parser is content")


def control(environment: dict, method: str, path: str, body: bytes) -> None:
    request = urllib.request.Request(environment["EMULATOR_CONTROL"] + path, data=body, method=method)
    urllib.request.urlopen(request, timeout=10).close()


def scrape(environment: dict, directory: str, program: str) -> None:
    out = os.path.join(directory, 'odd "dir')
    os.mkdir(out)
    config = f"""
cloud: {{authorityHost: "{environment['EMULATOR_AUTHORITY']}", vaultSuffix: vault.localhost}}
tls: {{caFile: {environment['EMULATOR_CA_FILE']}}}
vaults: {{demo: {{url: "{environment['EMULATOR_VAULT_URL']}"}}}}
files: {{dir: '{out}'}}
admin: {{listen: "127.0.0.1:0", secretNamesInMetrics: true}}
onChange: [{{http: {{url: "http://127.0.0.1:9/reload"}}}}]
refresh: {{settle: 0s}}
secrets:
  db-password: keyvault:demo/secrets/password
  lasting: keyvault:demo/secrets/lasting
  missing: {{from: keyvault:demo/secrets/missing}}
"""
    names = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST")
    variables = {name: environment[name] for name in names}
    variables |= {"KEYFERRY_CONFIG_YAML": config, "KEYFERRY_ALLOW_CUSTOM_CLOUD": "1"}
    agent = subprocess.Popen([program, "run"], env=variables, stderr=subprocess.PIPE, text=True)
    deadline = threading.Timer(SECONDS, agent.kill)
    deadline.start()
    try:
        log = []
        for line in agent.stderr:
            log.append(line)
            if "probes are answered at http://" in line:
                break
        else:
            raise SystemExit("the agent ended early:\n" + "".join(log))
        address = line.split("http://")[1].split(": ")[0]
        # Its log is read on, so that it never waits for a reader.
        threading.Thread(target=agent.stderr.read, daemon=True).start()
        url = f"http://{address}/metrics"
        wait_for(url, "keyferry_generation{")
        control(environment, "PUT", "/vaults/demo/secrets/password", b"canary-value-2")
        agent.send_signal(signal.SIGHUP)
        wait_for(url, "keyferry_hook_total{")
        check(url, out)
    finally:
        deadline.cancel()
        agent.terminate()
        agent.wait()
    assert agent.returncode == 0, f"the agent ended with {agent.returncode}"


def get(url: str, accept: str) -> tuple:
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def wait_for(url: str, series: str) -> None:
    """Asks until it is there, or the agent is ended by its deadline."""
    while series not in get(url, NEW)[1]:
        time.sleep(0.01)


def check(url: str, out: str) -> None:
    kind, text = get(url, NEW)
    assert kind == OPEN_METRICS, kind
    families = {family.name: family for family in open_metrics(text)}
    samples = [sample for family in families.values() for sample in family.samples]
    assert {name: family.type for name, family in families.items()} == FAMILIES, text
    assert all(family.documentation for family in families.values()), "help"
    assert families["keyferry_fetch_duration_seconds"].unit == "seconds", "unit"
    print("ok: every family, with its type and help")

    def value(name: str, **labels: str) -> float:
        found = [one.value for one in samples if one.name == name and one.labels == labels]
        assert len(found) == 1, f"{name} {labels}: {found}"
        return found[0]

    now = time.time()
    assert value("keyferry_secret_expires_timestamp_seconds", secret="lasting") == EXPIRES
    assert now - 60 < value("keyferry_secret_last_success_timestamp_seconds", secret="db-password") <= now + 1
    assert value("keyferry_secret_failing", secret="missing", kind="missing") == 1
    assert value("keyferry_secret_origin", secret="db-password", origin="primary") == 1
    assert value("keyferry_ready") == 0, "missing is required"
    assert value("keyferry_fetch_total", source="vault", outcome="ok") >= 3
    assert value("keyferry_hook_total", kind="http", outcome="error") >= 1
    assert value("keyferry_generation", dir=out) == 2, "the label's quote is escaped"
    buckets = [one for one in samples if one.name == "keyferry_fetch_duration_seconds_bucket"]
    assert buckets[-1].labels["le"] == "+Inf" and buckets[-1].value >= 3, buckets
    assert value("keyferry_fetch_duration_seconds_count", source="vault") == buckets[-1].value
    print("ok: samples")

    kind, text = get(url, OLD)
    assert kind == OPEN_METRICS, "there is one format, and its name is said"

    def names(samples) -> set:
        return {(one.name, *sorted(one.labels.items())) for one in samples}

    old, new = names(one for family in classic(text) for one in family.samples), names(samples)
    assert new <= old, f"the classic parser misses {new - old}"
    assert "canary" not in text and "vault.localhost" not in text, text
    print("ok: a scraper of the classic format finds the same series, and no value")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])

"""Brings deploy/compose up beside the emulator, as its README says, and watches the app start, read and follow a rotation.

usage: run_compose.py IMAGE APPLICATION-IMAGE PATH-OF-keyferry-emulator PATH-OF-docker-compose

APPLICATION-IMAGE is busybox. Docker's Compose speaks to a podman that is started for it. Needs root and runs on loopback only:
a second file for Compose has the containers share this machine's network, and says where the emulator is; all else is of the
repository's own files.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from proof import expected, free_port, start_emulator, within

SECONDS = 90
PATIENCE = 30
ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy/compose"
PROJECT = f"keyferry-proof-{os.getpid()}"
DOMAIN = "keyferry.test"
MEMORY = 16 * 1024 * 1024
KEYFERRY, READER, STRANGER, GROUP = 10001, 1000, 1001, 3000
SECRET = "/run/keyferry/db-password"
# How often a keyferry without values is asked before it is believed that nobody starts the app.
LOOKS = 5


def main(image: str, application: str, emulator: str, compose: str) -> None:
    within(SECONDS)
    with ExitStack() as stack:
        world = World(stack, image, application, emulator, compose)
        world.the_app_waits_until_keyferry_is_healthy()
        world.the_app_alone_reads_the_secret()
        world.a_rotation_arrives()
        world.both_are_hardened()
        world.both_end_when_they_are_told_to()
    print("Compose starts the app once its secrets are there, and they follow a rotation")


class World:
    """An emulator, a podman that Compose can speak to, and what is brought up there."""

    def __init__(self, stack: ExitStack, image: str, application: str, emulator: str, compose: str):
        self.stack = stack
        self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        self.directory.chmod(0o755)
        words = [f"--domain={DOMAIN}", "--platform=client-secret", "--secret=contoso/db-password=value-0"]
        told = start_emulator(stack, emulator, self.directory, *words)
        self.control = told["EMULATOR_CONTROL"]
        engine = f"unix://{self.start_podman()}"
        self.override = self.write_override(image, application, told)
        # What the README has exported.
        exported = {name: told[name] for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")}
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "DOCKER_HOST": engine, **exported}
        self.program = Path(compose).resolve()
        stack.callback(lambda: self.compose("down", "--volumes", "--timeout=0").wait())
        stack.push(self.tell_of_a_failure)

    def the_app_waits_until_keyferry_is_healthy(self) -> None:
        self.ask("POST", "/stop", {"service": "vault"})
        up = self.compose("up", "--detach")
        eventually("a keyferry that cannot be ready", lambda: self.check() == 1)
        eventually("word of why", lambda: "failed: unavailable" in self.logs("keyferry"))
        for _ in range(LOOKS):
            expected("its health", self.check(), 1)
            expected("the app meanwhile", self.inspect("app")["State"]["Status"], "created")
        expected("whether Compose waits", up.poll(), None)
        self.ask("POST", "/start", {"service": "vault"})
        eventually("a keyferry that is ready", lambda: self.check() == 0)
        expected("how `up` ends", up.wait(), 0)
        eventually("the first words of the app", lambda: self.seen() == [len("value-0")])

    def the_app_alone_reads_the_secret(self) -> None:
        expected("who the app is", self.inside("app", "id", "-u").stdout.split(), [str(READER)])
        expected("what the app reads", self.inside("app", "cat", SECRET).stdout, "value-0")
        for command in (["touch", "/run/keyferry/mine"], ["rm", SECRET], ["touch", "/mine"]):
            said = self.inside("app", *command).stderr
            expected(f"{command} in the app: {said}", "Read-only file system" in said, True)
        said = self.inside("app", "cat", SECRET, user=f"{STRANGER}:{STRANGER}").stderr
        expected(f"what uid {STRANGER} reads: {said}", "Permission denied" in said, True)

    def a_rotation_arrives(self) -> None:
        self.ask("PUT", "/vaults/contoso/secrets/db-password", "another value")
        eventually("the app's words of it", lambda: self.seen() == [len("value-0"), len("another value")])
        expected("what the app reads", self.inside("app", "cat", SECRET).stdout, "another value")

    def both_are_hardened(self) -> None:
        for service, user in (("keyferry", KEYFERRY), ("app", READER)):
            process = Path("/proc", str(self.inspect(service)["State"]["Pid"]))
            lines = (process / "status").read_text().splitlines()
            status = {name: value.split() for name, value in (line.split(":", 1) for line in lines)}
            expected(f"uids of {service}", status["Uid"], [str(user)] * 4)
            expected(f"gids of {service}", status["Gid"], [str(GROUP)] * 4)
            for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                expected(f"{kind} of {service}", int(status[kind][0], 16), 0)
            expected(f"no_new_privs of {service}", status["NoNewPrivs"], ["1"])
            mounts = {fields[4]: fields for fields in map(str.split, (process / "mountinfo").read_text().splitlines())}
            expected(f"the root of {service}", mounts["/"][5].split(",")[0], "ro")
            files = mounts["/run/keyferry"]
            expected(f"what {service} has the files on", files[files.index("-") + 1], "tmpfs")
        limits = self.inspect("keyferry")["HostConfig"]
        expected("its memory, without and with swap", (limits["Memory"], limits["MemorySwap"]), (MEMORY, MEMORY))
        expected("the limit that the kernel has", memory_limit(self.inspect("keyferry")["State"]["Pid"]), MEMORY)

    def both_end_when_they_are_told_to(self) -> None:
        expected("how `stop` ends", self.compose("stop").wait(), 0)
        for service in ("app", "keyferry"):
            # Who is killed at the end of them ends with 137.
            expected(f"how {service} ends", self.inspect(service)["State"]["ExitCode"], 0)
        expected("how `down` ends", self.compose("down", "--volumes").wait(), 0)
        left = podman("ps", "--all", "--quiet", f"--filter=label=com.docker.compose.project={PROJECT}").stdout
        expected("what is left", left, "")

    def tell_of_a_failure(self, kind: type | None, *_) -> None:
        if kind:
            for service in ("keyferry", "app"):
                print(f"{service} says:\n{self.logs(service)}", file=sys.stderr)

    def compose(self, *words: str) -> subprocess.Popen:
        """A command as the README has it, for a project and with a file of this test's own."""
        options = re.search(r"^docker compose (.*) up$", (COMPOSE / "README.md").read_text(), re.MULTILINE)[1].split()
        mine = ["--progress=quiet", "--project-name", PROJECT, *options, "--file", str(self.override)]
        return subprocess.Popen([self.program, *mine, *words], cwd=ROOT, env=self.environment)

    def check(self) -> int:
        """A health check, as the engine makes one each interval; podman leaves that to systemd."""
        return podman("healthcheck", "run", self.name("keyferry")).returncode

    def seen(self) -> list:
        """The lengths of the secret that the app has told."""
        told = re.findall(rf"^-r--r-----\s+1 {KEYFERRY}\s+{GROUP}\s+(\d+) .* {SECRET}$", self.logs("app"), re.MULTILINE)
        return [int(length) for length in told]

    def logs(self, service: str) -> str:
        told = podman("logs", self.name(service))
        return told.stdout + told.stderr

    def inside(self, service: str, *command: str, user: str = "") -> subprocess.CompletedProcess:
        return podman("exec", *([f"--user={user}"] if user else []), self.name(service), *command)

    def inspect(self, service: str) -> dict:
        return json.loads(podman("inspect", self.name(service)).stdout)[0]

    def name(self, service: str) -> str:
        return f"{PROJECT}-{service}-1"

    def write_override(self, image: str, application: str, told: dict) -> Path:
        vault = told["EMULATOR_VAULT_URL"]
        config = (COMPOSE / "keyferry.yaml").read_text()
        for own, here in (("https://contoso.vault.azure.net", vault), ("127.0.0.1:8211", f"127.0.0.1:{free_port()}")):
            expected(f"how often keyferry.yaml has {own}", config.count(own), 1)
            config = config.replace(own, here)
        config += f"cloud: {{vaultSuffix: vault.{DOMAIN}}}\ntls: {{caFile: /ca.pem}}\nrefresh: {{interval: 5s}}\n"
        (self.directory / "keyferry.yaml").write_text(config)
        keyferry = {
            "image": image,
            "network_mode": "host",
            "environment": {"AZURE_AUTHORITY_HOST": told["AZURE_AUTHORITY_HOST"], "KEYFERRY_ALLOW_CUSTOM_CLOUD": "1"},
            "extra_hosts": [f"{host}.{DOMAIN}:127.0.0.1" for host in ("login", "contoso.vault")],
            "volumes": [
                f"{self.directory}/keyferry.yaml:/etc/keyferry/keyferry.yaml:ro",
                f"{told['EMULATOR_CA_FILE']}:/ca.pem:ro",
            ],
        }
        app = {"image": application, "network_mode": "host"}
        override = self.directory / "override.json"
        override.write_text(json.dumps({"services": {"keyferry": keyferry, "app": app}}))
        return override

    def start_podman(self) -> Path:
        where = self.directory / "podman.sock"
        # Health checks would be systemd's timers.
        environment = {**os.environ, "DISABLE_HC_SYSTEMD": "true"}
        words = ["podman", "--log-level=error", "system", "service", "--time=0", f"unix://{where}"]
        service = self.stack.enter_context(subprocess.Popen(words, env=environment))
        self.stack.callback(service.terminate)
        eventually("podman's socket", where.exists)
        return where

    def ask(self, method: str, path: str, body: object) -> None:
        data = body if isinstance(body, str) else json.dumps(body)
        urllib.request.urlopen(urllib.request.Request(f"{self.control}{path}", data.encode(), method=method)).close()


def memory_limit(process: int) -> int:
    """Of the control group that a process is in, of either version."""
    groups = [line.split(":", 2) for line in Path("/proc", str(process), "cgroup").read_text().splitlines()]
    for _, controllers, path in groups:
        if "memory" in controllers.split(","):
            return int(Path(f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes").read_text())
    return int(Path(f"/sys/fs/cgroup{groups[-1][2]}/memory.max").read_text())


def podman(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False)


def eventually(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {PATIENCE} s")
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])

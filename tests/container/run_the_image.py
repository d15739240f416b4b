"""Runs the image as a pod runs it, and looks at it from containers of other users.

usage: run_the_image.py IMAGE IMAGE-TO-INSTALL-FROM OTHER-IMAGE PATH-OF-keyferry-emulator

OTHER-IMAGE stands for the applications: it has a shell and Perl. Needs root and podman, and runs on loopback only: the
containers share this machine's network, as those of a pod share one.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from proof import expected, free_port, start_emulator, within

SECONDS = 120
MEMORY = 16 * 1024 * 1024
KEYFERRY, READER, CALLER, STRANGER, GROUP = 10001, 2000, 1000, 1001, 3000
ROTATIONS = 3
SOCKET = "/run/keyferry-api/api.sock"
# Seccomp is on unless it is turned off.
HARDENED = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=host"]

# Reads both files of one generation, again and again, and tells what it sees.
READ = """
while :; do
    if cd -P /run/keyferry/..data 2>/dev/null; then
        left=$(cat left) && right=$(cat right) || echo "cannot read"
        [ "$left" = "$right" ] || echo "torn: $left and $right"
        [ "$left" = "$last" ] || echo "$left"
        last=$left
    fi
    sleep 0.02
done
"""

# Asks at a socket or an address, and tells the whole answer; 0 if nobody is there.
ASK = r"""
use IO::Socket::INET; use IO::Socket::UNIX;
my ($where, $path) = @ARGV;
my $server = $where =~ m{^/} ? IO::Socket::UNIX->new(Peer => $where) : IO::Socket::INET->new(PeerAddr => $where);
$server or print("- 0\n\n"), exit;
print $server "GET $path HTTP/1.1\r\nHost: localhost\r\nKeyferry-Request: true\r\nConnection: close\r\n\r\n";
print <$server>;
"""


def main(image: str, install: str, other: str, emulator: str) -> None:
    within(SECONDS)
    for name, mode in ((image, "0111"), (install, "0555")):
        version = podman("run", "--rm", name, "--version").split()[1]
        expected(f"settings of {name}", settings(name), wanted_settings(version))
        expected(f"contents of {name}", contents(name), wanted_contents(mode))
    size = int(podman("image", "inspect", "--format", "{{.Size}}", image))
    with ExitStack() as stack:
        World(stack, image, install, other, emulator).run()
    print(f"the image is {size / 1e6:.2f} MB, runs hardened, and tells its callers apart")


def wanted_settings(version: str) -> dict:
    return {
        "User": "10001:10001",
        "Entrypoint": ["/keyferry"],
        "Env": ["RUST_LIB_BACKTRACE=0"],
        "version": version,
        "layers": 1,
    }


def settings(image: str) -> dict:
    told = json.loads(podman("image", "inspect", image))[0]
    config = told["Config"]
    # podman adds a PATH of its own to an image that has none.
    environment = [entry for entry in config["Env"] if not entry.startswith("PATH=")]
    return {
        "User": config["User"],
        "Entrypoint": config["Entrypoint"],
        "Env": environment,
        "version": config["Labels"]["org.opencontainers.image.version"],
        "layers": len(told["RootFS"]["Layers"]),
    }


def wanted_contents(mode: str) -> list:
    return [
        "0755 0:0 etc",
        "0755 0:0 etc/ssl",
        "0755 0:0 etc/ssl/certs",
        "0644 0:0 etc/ssl/certs/ca-certificates.crt",
        f"{mode} 0:0 keyferry",
    ]


def contents(image: str) -> list:
    """What the layers hold, not what an engine adds to it for a container."""
    with tempfile.TemporaryDirectory() as directory:
        podman("save", "--quiet", "--format", "oci-dir", "--output", directory, image)
        blobs = Path(directory, "blobs")

        def blob(descriptor: dict) -> Path:
            return blobs / descriptor["digest"].replace(":", "/")

        index = json.loads(Path(directory, "index.json").read_text())
        manifest = json.loads(blob(index["manifests"][0]).read_text())
        found = []
        for layer in manifest["layers"]:
            with tarfile.open(blob(layer)) as archive:
                found += [f"{entry.mode & 0o7777:04o} {entry.uid}:{entry.gid} {entry.name}" for entry in archive]
    return sorted(found, key=lambda line: line.split()[2])


class World:
    """An emulator, volumes as `emptyDir: {medium: Memory}` gives them, and containers that share them."""

    def __init__(self, stack: ExitStack, image: str, install: str, other: str, emulator: str):
        self.stack, self.install, self.other = stack, install, other
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        directory.chmod(0o755)
        secrets = [f"--secret=demo/{name}=value-0" for name in ("left", "right")]
        self.environment = start_emulator(stack, emulator, directory, *secrets)
        self.address = f"127.0.0.1:{free_port()}"
        self.secrets, self.api, self.programs = self.volume("secrets"), self.volume("api"), self.volume("programs")
        self.identity = [
            "--volume", f"{directory}:{directory}:ro", "--env", "KEYFERRY_ALLOW_CUSTOM_CLOUD=1",
            "--env", f"KEYFERRY_CONFIG_YAML={self.configuration()}",
            *(f"--env={name}={value}" for name, value in self.environment.items() if name.startswith("AZURE_")),
        ]  # fmt: skip
        self.agent = [
            *self.identity, "--volume", f"{self.secrets}:/run/keyferry", "--volume", f"{self.api}:/run/keyferry-api",
            "--group-add", str(GROUP), "--memory", str(MEMORY), "--memory-swap", str(MEMORY), "--pids-limit", "16",
            image, "--log-level=warn",
        ]  # fmt: skip

    def run(self) -> None:
        reader = self.start(
            "reader", "--user", f"{READER}:{GROUP}", "--volume", f"{self.secrets}:/run/keyferry:ro",
            # What is on a volume does not outlive the last container that mounts it.
            "--volume", f"{self.api}:/run/keyferry-api:ro", "--volume", f"{self.programs}:/programs:ro",
            self.other, "sh", "-c", READ,
        )  # fmt: skip
        podman("run", "--rm", *HARDENED, *self.agent, "init")
        expected("what init published", next_line(reader), "value-0")

        agent = self.start("agent", *self.agent, "run")
        # A pair that is put while the agent starts may be torn in what it publishes first.
        while self.ask(CALLER, SOCKET, "left")[0] != 200:
            pass
        podman("exec", self.name("agent"), "/keyferry", "status", "--ready")
        for turn in range(1, ROTATIONS + 1):
            self.rotate(f"value-{turn}")
            expected("what the reader sees after a rotation", next_line(reader), f"value-{turn}")
        self.ask_as_each_user()
        self.look_at_the_process()
        self.start_a_command_in_another_image()
        podman("stop", "--time", "20", self.name("agent"))
        expected("how the agent ends", agent.wait(), 0)
        podman("rm", "--force", "--time", "0", self.name("reader"))
        expected("what else the reader has seen", reader.stdout.read(), "")

    def ask_as_each_user(self) -> None:
        for where in (SOCKET, self.address):
            status, body = self.ask(CALLER, where, "left")
            expected(f"what uid {CALLER} gets at {where}", (status, body), (200, f"value-{ROTATIONS}"))
            status, _ = self.ask(CALLER, where, "right")
            expected(f"what uid {CALLER} gets of another's at {where}", status, 404)
            status, body = self.ask(STRANGER, where, "left")
            expected(f"what uid {STRANGER} gets at {where}", status, 403)
            expected(f"whom {where} refuses", json.loads(body)["error"]["uid"], STRANGER)

    def start_a_command_in_another_image(self) -> None:
        podman(
            "run", "--rm", *HARDENED, "--volume", f"{self.programs}:/programs",
            self.install, "--log-level=warn", "install", "/programs",
        )  # fmt: skip
        found = podman(
            "run", "--rm", *HARDENED, *self.identity, "--user", f"{READER}:{GROUP}",
            "--volume", f"{self.programs}:/programs:ro", "--env", "RIGHT=keyvault:demo/secrets/right",
            self.other, "/programs/keyferry", "exec", "--", "sh", "-c", "echo $RIGHT",
        )  # fmt: skip
        expected("what a command in another image gets", found, f"value-{ROTATIONS}\n")

    def look_at_the_process(self) -> None:
        process = podman("inspect", "--format", "{{.State.Pid}}", self.name("agent")).strip()
        lines = Path("/proc", process, "status").read_text().splitlines()
        status = {name: value.split() for name, value in (line.split(":", 1) for line in lines)}
        expected("its uids", status["Uid"], [str(KEYFERRY)] * 4)
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            expected(kind, int(status[kind][0], 16), 0)
        expected("no_new_privs", status["NoNewPrivs"], ["1"])
        expected("seccomp by a filter", status["Seccomp"], ["2"])
        mounts = [line.split() for line in Path("/proc", process, "mountinfo").read_text().splitlines()]
        root = next(fields for fields in mounts if fields[4] == "/")
        expected("a root that is read-only", root[5].split(",")[0], "ro")
        print(f"keyferry run: {status['VmHWM'][0]} KiB at most, {status['Threads'][0]} thread(s)")

    def configuration(self) -> str:
        return json.dumps(
            {
                "cloud": {"vaultSuffix": "vault.localhost"},
                "tls": {"caFile": self.environment["EMULATOR_CA_FILE"]},
                "vaults": {"demo": {"url": self.environment["EMULATOR_VAULT_URL"]}},
                "secrets": {"left": "keyvault:demo/secrets/left", "right": "keyvault:demo/secrets/right"},
                "files": {"dir": "/run/keyferry", "group": GROUP},
                "refresh": {"interval": "5s"},
                "serve": {
                    "socket": {"path": SOCKET, "allow": [{"uid": CALLER, "secrets": ["left"]}]},
                    "http": {"listen": self.address, "allow": [{"uid": CALLER, "secrets": ["left"]}]},
                },
            }
        )

    def rotate(self, value: str) -> None:
        for name in ("left", "right"):
            url = f"{self.environment['EMULATOR_CONTROL']}/vaults/demo/secrets/{name}"
            urllib.request.urlopen(urllib.request.Request(url, value.encode(), method="PUT")).close()

    def ask(self, user: int, where: str, secret: str) -> tuple:
        answer = podman(
            "run", "--rm", *HARDENED, "--user", f"{user}:{user}", "--volume", f"{self.api}:/run/keyferry-api:ro",
            self.other, "perl", "-e", ASK, where, f"/v1/secrets/{secret}",
        )  # fmt: skip
        head, _, body = answer.partition("\n\n")
        return int(head.split()[1]), body

    def start(self, name: str, *arguments: str) -> subprocess.Popen:
        command = ["podman", "run", "--rm", "--name", self.name(name), *HARDENED, *arguments]
        started = self.stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        self.stack.callback(podman, "rm", "--force", "--time", "0", "--ignore", self.name(name))
        return started

    def volume(self, name: str) -> str:
        owner = f"o=uid={KEYFERRY},gid={KEYFERRY},mode=0755"
        podman("volume", "create", "--opt=type=tmpfs", "--opt=device=tmpfs", f"--opt={owner}", self.name(name))
        self.stack.callback(podman, "volume", "rm", "--force", self.name(name))
        return self.name(name)

    def name(self, of: str) -> str:
        return f"keyferry-proof-{os.getpid()}-{of}"


def podman(*arguments: str) -> str:
    done = subprocess.run(["podman", *arguments], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"podman {' '.join(arguments[:4])} … ended with {done.returncode}")
    return done.stdout


def next_line(process: subprocess.Popen) -> str:
    return process.stdout.readline().rstrip("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

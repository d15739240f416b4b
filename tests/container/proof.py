"""What the proofs beside it stand on: an emulator, a free port, a deadline, and what was expected."""

import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path


def within(seconds: int) -> None:
    """Ends this process after that time."""

    def too_late(*_) -> None:
        raise SystemExit(f"not done after {seconds} s")

    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)


def start_emulator(stack: ExitStack, program: str, directory: Path, *words: str) -> dict:
    """What it tells of itself once it is ready."""
    command = [program, "--dir", str(directory), "--control=127.0.0.1:0", *words]
    emulator = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    stack.callback(emulator.terminate)
    told = {}
    for line in emulator.stdout:
        name, _, value = line.rstrip("\n").partition("=")
        if name == "EMULATOR_READY":
            return told
        told[name] = value
    raise SystemExit("the emulator ended before it was ready")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def expected(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise SystemExit(f"{what}: expected {wanted!r}, found {found!r}")

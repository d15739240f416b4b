"""Runs what deploy/ and examples/ have for a cluster on a real one, against the emulator beside it.

usage: run_in_a_cluster.py IMAGE IMAGE-TO-INSTALL-FROM APPLICATION-IMAGE ADDRESS PATH-OF-keyferry-emulator [CHECK…]

KUBECONFIG names the cluster; its nodes have the images already (imagePullPolicy IfNotPresent). APPLICATION-IMAGE has a shell.
Pods reach the emulator at ADDRESS, an address of this machine. What pods sign in with are their own projected tokens, signed by
the cluster and checked by the emulator with the cluster's keys. Everything is in a namespace of its own, which is deleted, but
the policies of injection, which are the cluster's while they are checked. With names of checks, only those are made.
"""

import signal
import sys
import time
from contextlib import ExitStack

import delivery
import failures
import injection
import isolation
import lifecycle
import manifests
import start_time
from cluster import Cluster
from here import Here
from vault import Vault

SECONDS = 1500
PARTS = (delivery, injection, failures, lifecycle, isolation, manifests, start_time)


def main(image: str, install: str, application: str, address: str, emulator: str, *named: str) -> None:
    signal.signal(signal.SIGALRM, too_late)
    # So that what was begun is taken away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.alarm(SECONDS)
    checks = [check for part in PARTS for check in part.CHECKS]
    if unknown := set(named) - {check.__name__ for check in checks}:
        sys.exit(f"no such check: {', '.join(unknown)}")
    with ExitStack() as stack:
        cluster = Cluster(stack, Here(image, install, application, address))
        vault = Vault(stack, cluster, emulator)
        for check in checks:
            if named and check.__name__ not in named:
                continue
            begun = time.monotonic()
            vault.fresh()
            try:
                check(cluster, vault)
            except Exception:
                print(f"FAILED {check.__name__}\n{cluster.evidence()}", flush=True)
                raise
            print(f"ok  {check.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
            cluster.delete_everything()


def too_late(*_: object) -> None:
    raise TimeoutError(f"it is not over after {SECONDS} s")


if __name__ == "__main__":
    if len(sys.argv) < 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])

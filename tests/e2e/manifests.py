"""Every manifest of `deploy/` and `examples/`, as strictly as an API server looks at one without making it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from cluster import NAMESPACE, ROOT, Cluster
from vault import Vault


def every_manifest_is_valid(cluster: Cluster, vault: Vault) -> None:
    count = 0
    known = cluster.kubectl("api-resources", "--no-headers", namespaced=False)
    for name, text in manifests(cluster):
        for kind in re.findall(r"^kind: (\S+)", text, re.MULTILINE):
            if not re.search(rf"\s{kind}$", known, re.MULTILINE):
                print(f"SKIPPED: this cluster knows no {kind}, so nobody has looked at {name}")
                break
        else:
            for one in cluster.parsed(text):
                if one["metadata"].get("namespace"):
                    one["metadata"]["namespace"] = NAMESPACE
                cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-", given=json.dumps(one))
                count += 1
    print(f"    {count} objects")


def manifests(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """What kustomize makes of its directories, and all other files of objects, whole."""
    files = [path for top in ("deploy", "examples") for path in sorted((ROOT / top).rglob("*.yaml"))]
    made_of = {path.parent for path in files if path.name == "kustomization.yaml"}
    for path in files:
        text = path.read_text()
        if path.name == "kustomization.yaml":
            if "kind: Component" not in text:
                yield name(path.parent), cluster.kubectl("kustomize", str(path.parent))
        elif path.parent not in made_of and path.parent.name != "templates" and is_object(text):
            yield name(path), text


def is_object(text: str) -> bool:
    """Helm's charts have no kind, and what other tools read has no version."""
    return bool(re.search(r"^apiVersion:", text, re.MULTILINE) and re.search(r"^kind:", text, re.MULTILINE))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


CHECKS = (every_manifest_is_valid,)

"""Proves that the YAML of examples/azureml-byoc is what Azure Machine Learning's own SDK takes, and what it makes of it.

usage: load_azureml_with_the_official_sdk.py

`az ml` reads such files by the same schemas. Without a login; whoever would speak to a network is stopped. The requests that
the SDK would send are looked at too: in them each variable is as it was written, and the image's routes are there.
"""

import copy
import io
import logging
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import yaml
from azure.ai.ml import load_online_deployment, load_online_endpoint
from azure.ai.ml.exceptions import ValidationException
from marshmallow import ValidationError

EXAMPLE = Path(__file__).parents[2] / "examples/azureml-byoc"
LOCATION = "westeurope"
# A file, where in it something else is put, and what.
WRONG = [
    ("deployment.yml", ["colour"], "red"),
    ("deployment.yml", ["instance_typ"], "Standard_DS2_v2"),
    ("deployment.yml", ["instance_count"], "many"),
    ("deployment.yml", ["environment_variables"], ["OPENAI_API_KEY"]),
    ("deployment.yml", ["environment", "inference_config", "liveness_rout"], {"path": "/", "port": 5001}),
    ("deployment.yml", ["environment", "inference_config", "scoring_route", "prot"], 5001),
    ("endpoint.yml", ["auth_mode"], "robot"),
    ("endpoint.yml", ["identity", "type"], "robot"),
]


def stay_here(event: str, arguments: tuple) -> None:
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise RuntimeError(f"{event} {arguments}: nothing is to be sent")


def loader(name: str) -> Callable:
    return load_online_deployment if name.startswith("deployment") else load_online_endpoint


def check_that_what_is_wrong_is_refused() -> None:
    """Otherwise nothing of the rest is proven."""
    for name, path, value in WRONG:
        document = yaml.safe_load((EXAMPLE / name).read_text())
        load = loader(name)
        load(io.StringIO(yaml.safe_dump(document)))
        wrong = copy.deepcopy(document)
        inner = wrong
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        try:
            load(io.StringIO(yaml.safe_dump(wrong)))
        except (ValidationError, ValidationException) as refused:
            assert path[0] in str(refused), f"{name} with {path}: {value!r} is refused otherwise: {refused}"
        else:
            raise AssertionError(f"{name} with {path}: {value!r} is not refused")


def check_the_endpoints() -> None:
    for name in ("endpoint.yml", "endpoint-user-assigned.yml"):
        written = yaml.safe_load((EXAMPLE / name).read_text())
        endpoint = load_online_endpoint(EXAMPLE / name)
        sent = endpoint._to_rest_online_endpoint(LOCATION).as_dict()
        identities = [one["resource_id"] for one in written["identity"].get("user_assigned_identities", [])]
        wanted = {"type": "UserAssigned", "userAssignedIdentities": {one: {} for one in identities}}
        assert sent["identity"] == (wanted if identities else {"type": "SystemAssigned"}), sent
        assert (endpoint.name, sent["properties"]["authMode"]) == (written["name"], "Key"), sent


def check_the_deployment(settings: list[str]) -> None:
    """Settings are those of `az ml … --set`, which does the same with them."""
    written = yaml.safe_load((EXAMPLE / "deployment.yml").read_text())
    deployment = load_online_deployment(
        EXAMPLE / "deployment.yml", params_override=[dict([setting.split("=", 1)]) for setting in settings]
    )
    variables = written["environment_variables"] | {
        name.removeprefix("environment_variables."): value for name, value in (one.split("=", 1) for one in settings)
    }
    environment = deployment.environment._to_rest_object().as_dict()["properties"]
    routes = written["environment"]["inference_config"]
    assert environment["image"] == written["environment"]["image"], environment
    assert environment["inferenceConfig"] == {camel(name): route for name, route in routes.items()}, environment
    # The environment has an id once it was created.
    deployment.environment = "/environment"
    sent = deployment._to_rest_object(LOCATION).as_dict()
    properties = sent["properties"]
    assert properties["environmentVariables"] == variables, properties
    assert properties["instanceType"] == written["instance_type"], properties
    assert (properties["endpointComputeType"], sent["sku"]["capacity"]) == ("Managed", written["instance_count"]), sent
    endpoints = {yaml.safe_load(path.read_text())["name"] for path in EXAMPLE.glob("endpoint*.yml")}
    assert endpoints == {deployment.endpoint_name}, endpoints


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def main() -> None:
    sys.addaudithook(stay_here)
    # It says of every class that is in preview that it is.
    logging.disable(logging.WARNING)
    check_that_what_is_wrong_is_refused()
    readme = (EXAMPLE / "README.md").read_text()
    files = set(re.findall(r"^az ml .* --file (\S+)", readme, re.MULTILINE))
    assert files == {path.name for path in EXAMPLE.glob("*.yml")}, files
    check_the_endpoints()
    deployments = re.findall(r"^az ml online-deployment create (.*)$", readme, re.MULTILINE)
    for command in deployments:
        words = shlex.split(command)
        check_the_deployment([words[at + 1] for at, word in enumerate(words) if word == "--set"])
    print(f"azure-ai-ml takes {len(files)} files and {len(deployments)} deployments, and refuses {len(WRONG)} that are wrong")


if __name__ == "__main__":
    main()

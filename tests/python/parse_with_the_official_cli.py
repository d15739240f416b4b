"""Proves that every az command of README.md, of the examples' and deploy's READMEs, of deploy/azure's scripts and of what
keyferry and these advise is one.

usage: parse_with_the_official_cli.py

Each is parsed by azure-cli's own loader and parser, without a login: an unknown command or option, one that is missing and a
choice that is none are errors. Nothing is sent. What an extension brings (az ml, which is in no package registry) is shown and
not checked; the files that those commands read are, by load_azureml_with_the_official_sdk.py. The scripts run with an az that
writes down what it is given. The Container App's YAML is read by azure-cli's own models.
"""

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["AZURE_CONFIG_DIR"] = tempfile.mkdtemp()
os.environ["AZURE_CORE_COLLECT_TELEMETRY"] = "false"

import yaml
from azure.cli.command_modules.containerapp import _sdk_models
from azure.cli.command_modules.containerapp._decorator_utils import create_deserializer
from azure.cli.core import get_default_cli
from azure.cli.core.commands import events
from knack.events import EVENT_INVOKER_POST_CMD_TBL_CREATE, EVENT_INVOKER_POST_PARSE_ARGS
from knack.util import CLIError

from advised import advised

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("examples/*/README.md")), *sorted(ROOT.glob("deploy/*/README.md"))]
WORKSPACE = "/subscriptions/3/resourceGroups/ml/providers/Microsoft.MachineLearningServices/workspaces/prod"
EXTENSIONS = {"ml"}
RUNS = [
    ["aks-openai.sh", "--resource-group", "shop", "--cluster", "shop", "--identity", "service", "--service-account", "default/a",
     "--openai", "contoso", "--vault", "contoso", "--secret", "key", "--workspace", WORKSPACE],
    ["azureml.sh", "--workspace", WORKSPACE, "--endpoint", "blue", "--vault", "contoso"],
]
# Writes its arguments down, a JSON list in a line. Whatever is asked for by its name is there; lists are empty, and what is
# to be switched on in the cluster is off.
RECORDER = """#!/usr/bin/env python3
import json, os, sys
words = sys.argv[1:]
open(os.environ["RECORD"], "a").write(json.dumps(words) + "\\n")
is_list = words[:2] in (["identity", "list"], ["identity", "federated-credential"]) or words[:3] == ["role", "assignment", "list"]
is_switch = words[:2] == ["aks", "show"] and "issuerUrl" not in words[-3]
if not is_list and not is_switch: print("true")
"""


def written(text: str) -> list[list[str]]:
    """The commands of a document's shell blocks and of its inline code."""
    blocks = re.findall(r"^```(?:ba)?sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`(az [^`]*)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    commands = []
    for block in blocks + inline:
        block = block.replace("\\\n", " ")
        for command in re.findall(r"(?:^|\$\(|\|\s*)az ([^|)\n]*)", block, re.MULTILINE):
            commands.append(shlex.split(command, comments=True))
    return commands


def recorded(script: list[str]) -> list[list[str]]:
    """What a script gives az where nothing of what it wants is there yet."""
    with tempfile.TemporaryDirectory() as directory:
        az, record = Path(directory, "az"), Path(directory, "record")
        az.write_text(RECORDER)
        az.chmod(0o755)
        environment = {"PATH": f"{directory}:{os.environ['PATH']}", "RECORD": str(record)}
        program = str(ROOT / "deploy/azure" / script[0])
        subprocess.run([program, *script[1:]], env=environment, check=True, stdout=subprocess.DEVNULL)
        return [json.loads(line) for line in record.read_text().splitlines()]


def parse(words: list[str]) -> str | None:
    """What azure-cli says against a command, if anything."""
    cli = get_default_cli()
    invocation = cli.invocation_cls(
        cli_ctx=cli, parser_cls=cli.parser_cls, commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls
    )
    cli.invocation = invocation
    invocation.data["command_string"] = shlex.join(words)
    loader = invocation.commands_loader
    loader.load_command_table(words)
    name = max((n for n in loader.command_table if words[: len(n.split())] == n.split()), key=len, default=None)
    if name is None:
        return "there is no such command"
    loader.command_table = {name: loader.command_table[name]}
    loader.command_name = name
    # What listens adds `--subscription`.
    cli.raise_event(events.EVENT_INVOKER_PRE_LOAD_ARGUMENTS, commands_loader=loader)
    loader.load_arguments(name)
    cli.raise_event(events.EVENT_INVOKER_POST_LOAD_ARGUMENTS, commands_loader=loader)
    if "--ids" in words:
        # And here `--ids`, beside which the names are optional: without it, many a command would miss them only as it runs.
        cli.raise_event(EVENT_INVOKER_POST_CMD_TBL_CREATE, commands_loader=loader)
    invocation.parser.load_command_table(loader)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = invocation.parser.parse_args(words)
            cli.raise_event(EVENT_INVOKER_POST_PARSE_ARGS, command=parsed.command, args=parsed)
    except CLIError as error:
        return str(error)
    except SystemExit:
        return said.getvalue().strip().partition("\n")[0] or "it is refused"
    return None


def check_the_parser() -> None:
    """That what is wrong is found: otherwise nothing of the rest is proven."""
    assert parse(["identity", "create", "--name", "a"]), "a missing option"
    assert parse(["identity", "create", "--name", "a", "--resource-group", "b", "--colour", "red"]), "an unknown option"
    assert parse(["identity", "paint"]), "an unknown command"
    assert parse(["identity", "show", "--name", "a"]), "neither a group nor an id"
    assert parse(["identity", "show", "--ids", "a"]), "an id that is none"
    choice = ["role", "assignment", "create", "--role", "a", "--scope", "/b", "--assignee-object-id", "c"]
    assert parse([*choice, "--assignee-principal-type", "Robot"]), "a choice that is none"
    assert parse([*choice, "--assignee-principal-type", "ServicePrincipal"]) is None


def check_the_container_app() -> None:
    """Every key of the YAML is one of the models': what they do not know they would drop in silence."""
    app = yaml.safe_load((ROOT / "deploy/container-apps/app.yaml").read_text())
    # As `az containerapp create --yaml` does with it.
    again = create_deserializer(_sdk_models.__name__)("ContainerApp", app).serialize()
    expected = {key: value for key, value in app.items() if key != "type"}
    assert_within(expected, again, "app.yaml")


def assert_within(part: object, whole: object, place: str) -> None:
    if isinstance(part, dict):
        for key, value in part.items():
            assert isinstance(whole, dict) and key in whole, f"{place}.{key} is not known"
            assert_within(value, whole[key], f"{place}.{key}")
    elif isinstance(part, list):
        assert len(part) == len(whole), place
        for index, value in enumerate(part):
            assert_within(value, whole[index], f"{place}[{index}]")
    else:
        assert part == whole, f"{place}: {part!r} became {whole!r}"


def main() -> int:
    check_the_parser()
    commands = []
    for path in DOCUMENTS:
        found = written(path.read_text())
        # `az configure --defaults group=…` before them makes the group an option that can be left out.
        group = any(words[0] == "configure" and any(w.startswith("group=") for w in words) for words in found)
        commands += [(str(path.relative_to(ROOT)), words, group) for words in found]
    commands += [(script[0], words, False) for script in RUNS for words in recorded(script)]
    commands += [(place, words, False) for place, words in advised(ROOT)]
    wrong, checked, passed_over = [], {}, []
    for place, words, group in commands:
        if words[0] in EXTENSIONS:
            passed_over.append(f"{place}: az {shlex.join(words)}")
            continue
        key = (*words, group)
        if key not in checked:
            os.environ["AZURE_DEFAULTS_GROUP"] = "a-group" if group else ""
            checked[key] = parse(words)
        if checked[key]:
            wrong.append(f"{place}: az {shlex.join(words)}\n  {checked[key]}")
    for problem in wrong:
        print(problem, file=sys.stderr)
    if wrong:
        return 1
    check_the_container_app()
    print(f"azure-cli takes {len(checked)} commands; {len(passed_over)} are of an extension and were not checked:")
    for command in passed_over:
        print(f"  {command}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

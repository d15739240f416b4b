"""The az commands that keyferry and deploy/azure's scripts tell people to run, out of their sources' messages."""

import re
import shlex
from pathlib import Path

# Up to the prose behind it: words, and options of at most one value.
VALUE = r'"[^"]*"|<[^>]*>|\{\w*\}|[^\s;,()"<{}]+'
COMMAND = re.compile(rf"(?:^|(?<=[ (]))az((?! is\b)(?: [a-z][a-z-]*)+(?: --[a-z-]+(?: (?!--)(?:{VALUE}))?)*)")
# What is an option or a command's own word, and not the value of an option: as keyferry fills it in.
PIECES = {
    "{policy} {permissions}": ["--spn x --secret-permissions", "--object-id x --key-permissions"],
    "{what}{tenant}": ["--scope x --tenant x", "--resource-type arm"],
    "--ids {id}": ["--ids /subscriptions/x/resourceGroups/x/providers/Microsoft.ManagedIdentity/userAssignedIdentities/x"],
    "{at}": ["--workspace-name x --resource-group x --subscription x"],
    "az keyvault {} list": [f"az keyvault {kind} list" for kind in ("secret", "certificate", "key")],
}
# A command about any kind of object: which there are is in the texts that the advice's tests expect.
ABOUT_AN_OBJECT = "az keyvault {} {command} --vault-name {} --name {}"


def advised(root: Path) -> list[tuple[str, list[str]]]:
    """Where a command is, and its words; those of keyferry's own tests are not whole, and not among them."""
    expected = [text for text in literals(root / "src/advice/tests.rs") if " --vault-name contoso --name " in text]
    assert {text.split()[2] for text in expected} == {"secret", "certificate", "key"}, expected
    pieces = {**PIECES, ABOUT_AN_OBJECT: expected}
    found, filled = [], set()
    for path in sorted((root / "src").rglob("*.rs")):
        if "tests" not in (path.stem, path.parent.name):
            for text in literals(path):
                piece = next((piece for piece in pieces if piece in text), None)
                filled.add(piece)
                for way in pieces[piece] if piece else [""]:
                    found += [(path, words) for words in commands(text.replace(piece, way) if piece else text)]
    assert filled >= pieces.keys(), f"no message has {pieces.keys() - filled}"
    for path in sorted((root / "deploy/azure").glob("*.sh")):
        for text in re.findall(r'\bfail "([^"]*)"', path.read_text()):
            found += [(path, words) for words in commands(re.sub(r"\$\w+", "x", text))]
    return [(str(path.relative_to(root)), words) for path, words in found]


def literals(path: Path) -> list[str]:
    """The strings of a Rust file, without those in comments."""
    text = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE)
    found = re.findall(r'"((?:[^"\\]|\\.)*)"', text.replace("'\"'", ""), re.DOTALL)
    return [re.sub(r"\\\n\s*", "", literal).replace('\\"', '"') for literal in found]


def commands(text: str) -> list[list[str]]:
    """Those in a message, and first those that are values of others."""
    inner = re.findall(r"\$\(([^()]*)\)", text)
    if inner:
        return [words for command in inner for words in commands(command)] + commands(re.sub(r"\$\([^()]*\)", "x", text))
    found = [re.sub(r"<[^>]*>|\{\w*\}", "x", command) for command in COMMAND.findall(text)]
    return [shlex.split(command) for command in found]

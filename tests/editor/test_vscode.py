"""The extension for VS Code in `editors/vscode/`: a consistent manifest, and specs told from other YAML files."""

from __future__ import annotations

import json
import re
from typing import Any

import archdsl
from archdsl.cli import SECTIONS
from archdsl.spec.find import library_files
from tests.support.places import ROOT

FOLDER = ROOT / "editors/vscode"
MANIFEST: dict[str, Any] = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
SCRIPT = (FOLDER / "extension.js").read_text(encoding="utf-8")
OTHERS = (
    "name: ci\non: push\njobs: {}\n",
    "version: 3\nservices: {web: {image: x}}\nnetworks: {}\n",
    "net: host\nports: [80]\n",
    "a:\n  net: x\n  input: y\n",
)
"""Texts that are no specs."""


def is_spec(text: str) -> bool:
    """`isSpec` of the script, with its own expressions."""
    found = {
        name: re.compile(body, re.MULTILINE) for name, body in re.findall(r"^const ([A-Z]+) = /(.*)/m;$", SCRIPT, re.M)
    }
    assert "MARK.test(head) || (NET.test(head) && SOURCE.test(head))" in SCRIPT
    return bool(found["MARK"].search(text) or (found["NET"].search(text) and found["SOURCE"].search(text)))


def test_the_manifest_names_files_that_exist() -> None:
    contributes = MANIFEST["contributes"]
    paths = [MANIFEST["main"], MANIFEST["icon"], "README.md", "LICENSE"]
    paths += [entry["path"] for entry in contributes["grammars"]]
    paths += [entry["configuration"] for entry in contributes["languages"]]
    for path in paths:
        assert (FOLDER / path).is_file(), path
    for path in FOLDER.glob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    assert (FOLDER / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_script_and_the_manifest_agree() -> None:
    contributes = MANIFEST["contributes"]
    commands = {entry["command"] for entry in contributes["commands"]}
    assert set(re.findall(r'registerCommand\("([\w.]+)"', SCRIPT)) == commands
    settings = {name.removeprefix("archdsl.") for name in contributes["configuration"]["properties"]}
    assert set(re.findall(r'setting\("(\w+)"', SCRIPT)) == settings - {"trace.server"}  # which the client reads
    [language] = contributes["languages"]
    assert {entry["language"] for entry in contributes["grammars"]} == {language["id"]} == {"archdsl"}
    assert MANIFEST["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"] == ["archdsl.command"]
    assert set(re.findall(r'require\("([@\w-]+)', SCRIPT)) == {"vscode", *MANIFEST["dependencies"]}
    assert len(SCRIPT.splitlines()) < 80


def test_it_is_of_this_archdsl() -> None:
    assert archdsl.__version__.startswith(MANIFEST["version"])
    verbs = re.findall(r'(?:args|shellArgs): \["(\w+)"', SCRIPT)
    assert verbs == ["lsp", "watch"]
    assert set(verbs) <= {name for section in SECTIONS.values() for name in section}


def test_it_tells_specs_from_other_files() -> None:
    for path in library_files():
        assert is_spec(path.read_text(encoding="utf-8")), path.name
    assert is_spec("extends: resnet50\nnet: {fc: fc 3}\n")
    assert is_spec("archdsl: 1\n")
    assert not any(map(is_spec, OTHERS))

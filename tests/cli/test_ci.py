"""archdsl in CI: annotations, SARIF, the hooks of pre-commit, the GitHub Action, and the Dockerfiles.

The Dockerfiles are parsed, not built: that needs a Docker engine.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from click.testing import CliRunner, Result
from jsonschema import Draft4Validator

from archdsl import explain
from archdsl.cli import SECTIONS, main
from archdsl.diagnostics import Diagnostic, Source, Span
from archdsl.diagnostics.machine import to_github
from archdsl.explain.sarif import to_sarif
from tests.support.places import ROOT

SCHEMA = ROOT / "tests/support/data/sarif-2.1.0.json"
"""The schema of OASIS, with errata 01, unchanged."""
WRONG = "name: wrong\ninput: 3x8x8\nnet:\n  conv: 3x3 conv 4\n  pool: gop\n  fc: fc 10\n"


def run(*args: object) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, args)])


def at(name: str, text: str = "a: b\n", path: Path | None = None) -> Span:
    return Span(Source(name, text, path), 3, 4)


# --- annotations of GitHub Actions -----------------------------------------------------------------------


def parsed(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as the runner reads it: name, properties, message (actions/runner, ActionCommand.cs)."""
    match = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
    assert match is not None, line
    codes = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))

    def plain(text: str, codes: tuple[tuple[str, str], ...] = codes) -> str:
        for code, char in codes:
            text = text.replace(code, char)
        return text

    pairs = dict(pair.split("=", 1) for pair in match[2].split(","))
    return match[1], {key: plain(value) for key, value in pairs.items()}, plain(match[3], (*codes[:2], codes[4]))


def test_an_annotation_is_where_the_error_is(tmp_path: Path) -> None:
    path = tmp_path / "100%, a: b.yaml"
    path.write_text(WRONG)
    result = run(path, "--format", "github")
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    name, properties, message = parsed(line)
    assert (name, properties) == ("error", {"title": "archdsl E0301", "file": str(path), "line": "5", "col": "9"})
    assert message == f"{path}:5:9: unknown op or block `gop`\ndid you mean `gmp` or `gap`?"


def test_a_text_of_a_spec_is_no_workflow_command() -> None:
    text = "bad\r\n::set-env name=X::1\x1b[2J\n##[group]"
    lines = to_github([Diagnostic("E0301", text, at("a\n::error::b.yaml"), notes=(text,))]).splitlines()
    assert len(lines) == 1 and "\r" not in lines[0] and "\x1b" not in lines[0]
    assert parsed(lines[0])[1]["file"] == "a\n::error::b.yaml"


def test_the_levels_of_annotations() -> None:
    three = [Diagnostic("W0903", "a", severity="warning"), Diagnostic("N0719", "b", severity="note")]
    assert to_github(three) == "::warning title=archdsl W0903::a\n::notice title=archdsl N0719::b\n"


# --- SARIF -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def validator() -> Draft4Validator:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return Draft4Validator(schema, format_checker=Draft4Validator.FORMAT_CHECKER)


@pytest.fixture(scope="module")
def everything() -> dict[str, Any]:
    """A log with every code that has a page."""
    levels: dict[str, Any] = {"E": "error", "W": "warning", "N": "note"}
    return to_sarif([Diagnostic(code, "text", severity=levels[code[0]]) for code in explain.codes()], "1.0")


def test_every_rule_is_valid_and_complete(validator: Draft4Validator, everything: dict[str, Any]) -> None:
    assert [*validator.iter_errors(everything)] == []
    rules = everything["runs"][0]["tool"]["driver"]["rules"]
    anchors = _anchors((ROOT / "docs/errors.md").read_text(encoding="utf-8"))
    assert [rule["id"] for rule in rules] == sorted(explain.codes())
    for rule in rules:
        text = (ROOT / f"archdsl/explain/{rule['id']}.md").read_text(encoding="utf-8")
        assert rule["help"]["markdown"] == text
        assert text.startswith(f"# {rule['id']}: {rule['shortDescription']['text']}\n")
        assert rule["name"].isalnum() and not rule["fullDescription"]["text"].startswith(("#", "```", "|"))
        assert unquote(rule["helpUri"].partition("#")[2]) in anchors


def _anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {"".join(c for c in h.lower() if c.isalnum() or c in " -_").replace(" ", "-") for h in headings}


def test_a_log_of_a_check(tmp_path: Path, validator: Draft4Validator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b%ü.yaml").write_text(WRONG)
    (tmp_path / "fine.yaml").write_text(WRONG.replace("gop", "gap") + "labels: [x]\n")
    log = json.loads(run(".", "--format", "sarif").stdout)
    assert [*validator.iter_errors(log)] == []
    error, warning = log["runs"][0]["results"]
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in (error, warning)] == ["E0301", "W0903"]
    assert [rule["defaultConfiguration"]["level"] for rule in rules] == ["error", "warning"]
    place = error["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20b%25%C3%BC.yaml"
    assert place["region"] == {"startLine": 5, "startColumn": 9, "endLine": 5, "endColumn": 12}


def test_the_file_of_a_place(validator: Draft4Validator, tmp_path: Path) -> None:
    far = tmp_path / "far away.yaml"
    log = to_sarif([Diagnostic("E0301", "x", at(str(far), path=far)), Diagnostic("E0301", "x", at("<stdin>"))], "1.0")
    assert [*validator.iter_errors(log)] == []
    uris = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in log["runs"][0]["results"]]
    assert uris == [far.as_uri(), "%3Cstdin%3E"]


def test_every_problem_has_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub refuses a result without a location, and shows an annotation without a file nowhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    done = run("nosuch", "empty", "none*.yaml", "--format", "sarif", "-o", "out.sarif")
    assert (done.exit_code, done.stderr) == (2, "3 specs: 3 errors\n")
    places = [
        r["locations"][0]["physicalLocation"] for r in json.loads(Path("out.sarif").read_text())["runs"][0]["results"]
    ]
    assert [place["artifactLocation"]["uri"] for place in places] == ["nosuch", "empty", "none%2A.yaml"]
    assert {place["region"]["startLine"] for place in places} == {1}
    lines = run("nosuch", "empty", "--format", "github").stdout.splitlines()
    assert [parsed(line)[1]["file"] for line in lines] == ["nosuch", "empty"]


def test_a_name_is_no_workflow_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "::error title=pwn::x.yaml").write_text("input: 3x8x8\nnet: [3x3 conv 4]\n")
    (tmp_path / "##[error]x.yaml").write_text("input: 3x8x8\nnet: [3x3 conv 4]\n")
    lines = run(".").stdout.splitlines() + CliRunner().invoke(main, ["fmt", "--check", "."]).stdout.splitlines()
    assert lines and all(line.startswith("./") for line in lines)


def test_the_schema_can_fail(validator: Draft4Validator) -> None:
    log = to_sarif([Diagnostic("E0301", "x", at("a.yaml"))], "1.0")
    log["runs"][0]["results"][0]["level"] = "fatal"
    del log["runs"][0]["tool"]["driver"]["name"]
    assert len([*validator.iter_errors(log)]) == 2


# --- pre-commit ------------------------------------------------------------------------------------------


def test_the_hooks_of_pre_commit(tmp_path: Path) -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    assert {"archdsl-check", "archdsl-fmt"} <= set(hooks)
    commands = {name for section in SECTIONS.values() for name in section}
    path = tmp_path / "wrong.yaml"
    for name, hook in hooks.items():
        program, command = shlex.split(hook["entry"])[:2]
        assert (program, f"archdsl-{command}") == ("archdsl", name) and command in commands
        assert hook["language"] == "python"
        assert re.search(hook["files"], "specs/a.yaml") and not re.search(hook["files"], ".github/workflows/ci.yml")
        path.write_text(WRONG)
        assert CliRunner().invoke(main, [*shlex.split(hook["entry"])[1:], str(path)]).exit_code == 1


# --- GitHub Action ---------------------------------------------------------------------------------------

ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def test_no_input_is_a_part_of_a_command() -> None:
    used = set()
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"] and step["shell"] == "bash"
        used |= set(re.findall(r"inputs\.(\w+)", " ".join(step["env"].values())))
    assert used == set(ACTION["inputs"])
    script = (ROOT / "tools/action.sh").read_text(encoding="utf-8")
    assert all(name in script for step in ACTION["runs"]["steps"] for name in step["env"])
    assert os.access(ROOT / "tools/action.sh", os.X_OK)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_of_the_action(tmp_path: Path) -> None:
    archdsl = tmp_path / "archdsl-action/bin/archdsl"
    archdsl.parent.mkdir(parents=True)
    archdsl.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m archdsl "$@"\n')
    archdsl.chmod(0o755)
    (tmp_path / "my wrong.yaml").write_text(WRONG)
    (tmp_path / "-fine.yaml").write_text(WRONG.replace("gop", "gap"))
    given = {"ARCHDSL_SPECS": "  my wrong.yaml \r\n\n-fine.yaml\n", "ARCHDSL_SARIF": "out.sarif", "ARCHDSL": "false"}
    paths = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "RUNNER_TEMP": str(tmp_path)}

    def check(**environment: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", str(ROOT / "tools/action.sh"), "check"]
        env = {**paths, **environment}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)

    done = check(**given)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error title=archdsl E0301,file=my wrong.yaml,line=5,col=9::")
    assert len(json.loads((tmp_path / "out.sarif").read_text())["runs"][0]["results"]) == 1
    empty = check(ARCHDSL_SPECS="\n")
    assert empty.returncode == 2 and empty.stdout.startswith("::error title=archdsl::the input specs is empty")
    unclear = check(**given, ARCHDSL_STRICT="yes")
    assert unclear.returncode == 2 and "strict is neither true nor false" in unclear.stdout
    (tmp_path / "out.sarif").unlink()
    (tmp_path / "out.sarif").mkdir()
    unwritten = check(**given, ARCHDSL_STRICT="True")
    assert unwritten.returncode == 2 and "::error title=archdsl::the SARIF file" in unwritten.stdout


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_accepts_the_script() -> None:
    subprocess.run(["shellcheck", str(ROOT / "tools/action.sh")], check=True, timeout=60)


# --- Docker ----------------------------------------------------------------------------------------------


def instructions(name: str) -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


@pytest.mark.parametrize(("name", "extra"), [("Dockerfile", "cpu"), ("Dockerfile.gpu", "gpu")])
def test_a_dockerfile(name: str, extra: str) -> None:
    lines = instructions(name)
    bases = [rest.split()[0] for word, rest in lines if word == "FROM"]
    assert len(bases) == 2 and all(re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base) for base in bases)
    last = lines[max(n for n, (word, _) in enumerate(lines) if word == "FROM") :]
    assert [json.loads(rest) for word, rest in last if word == "ENTRYPOINT"] == [["archdsl"]]
    assert [rest for word, rest in last if word == "USER"] == ["1000"], "not root, and a number that Kubernetes checks"
    installs = [rest for word, rest in lines if word == "RUN" and "pip install" in rest]
    assert len(installs) == 1 and "--no-cache-dir" in installs[0] and f".[{extra}]" in installs[0]
    assert not [rest for word, rest in last if word == "RUN" and "pip" in rest], "the last stage has no build tools"


def test_docker_reads_what_the_wheel_needs() -> None:
    allowed = set(re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = {source for word, rest in instructions("Dockerfile") if word == "COPY" for source in rest.split()[:-1]}
    assert copied - {"--from=build", "/opt/archdsl"} == allowed
    assert all((ROOT / name).exists() for name in allowed)

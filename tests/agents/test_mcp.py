"""The tools of `archdsl mcp`: over stdio with the official client, as functions, and on hostile inputs.

Tests `agents/results.py`, `agents/server.py`, `agents/specs.py`, `agents/tools.py` and `cli/mcp.py`.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import anyio
import jsonschema
import pytest
from click.testing import CliRunner
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

import archdsl
from archdsl.agents import server, specs, tools
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.library.catalog import entry_of
from tests.support.places import ROOT

TINY = (
    "name: tiny\ninput: 3x8x8\nargs: {classes: 10}\nnet:\n  conv: 3x3 conv 4 bn relu\n  pool: gap\n  fc: fc classes\n"
)
TYPO = TINY.replace("3x3 conv 4", "3x3 conv 4 strid=2")
BOMB = "input: 3x8x8\nblocks: {b(): [1000 * c()], c(): [1000 * d()], d(): [1000 * relu]}\nnet: [1000 * b()]\n"
SLOW = "input: 3x8x8\nnet: [200000 * relu]\n"

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "check": ("check", {"spec": TINY}),
    "typo": ("check", {"spec": TYPO}),
    "library": ("check", {"spec": "resnet50#resnet18"}),
    "params": ("params", {"spec": TINY, "args": {"classes": 3}, "input": "3x16x16"}),
    "explain": ("explain", {"code": "412"}),
    "diff": ("diff", {"before": TINY, "after": TINY.replace("conv 4", "conv 8")}),
    "expand": ("expand", {"spec": TINY, "form": "flat"}),
    "diagram": ("diagram", {"spec": TINY}),
    "svg": ("diagram", {"spec": TINY, "formats": ["svg"]}),
    "drawn typo": ("diagram", {"spec": TYPO}),
    "below": ("params", {"spec": "nets/own.yaml"}),
    "text extends": ("params", {"spec": "extends: nets/own.yaml\n"}),
    "above": ("check", {"spec": "../outside.yaml"}),
    "absolute": ("check", {"spec": "/etc/passwd"}),
    "link": ("check", {"spec": "link.yaml"}),
    "model": ("check", {"spec": "model.onnx"}),
    "extends": ("check", {"spec": "extends: ../../../../../../etc/passwd\ninput: 3x8x8\n"}),
    "extends above": ("params", {"spec": "extends: ../outside.yaml\n"}),
    "labels": ("check", {"spec": TINY + "labels: ../../../../../etc/passwd\n"}),
    "factory": ("check", {"spec": "os:system"}),
    "bomb": ("params", {"spec": BOMB}),
    "10 MB": ("check", {"spec": "# " + "x" * 10_000_000 + "\nnet: relu\n"}),
    "no spec": ("check", {}),
    "number": ("check", {"spec": 3}),
    "list": ("params", {"spec": TINY, "args": [1]}),
    "unknown": ("remove", {"spec": TINY}),
    "after all": ("check", {"spec": TINY}),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answers to `CALLS` of one server, by name, and its tools."""
    outer = tmp_path_factory.mktemp("mcp")
    folder = outer / "root"
    (folder / "nets").mkdir(parents=True)
    (folder / "nets" / "own.yaml").write_text(TINY.replace("tiny", "own"))
    (outer / "outside.yaml").write_text(TINY.replace("tiny", "secret"))
    (folder / "link.yaml").symlink_to(outer / "outside.yaml")
    return anyio.run(_answers, folder)


async def _answers(folder: Path) -> dict[str, Any]:
    arguments = ["-m", "archdsl", "mcp", "--root", str(folder)]
    parameters = StdioServerParameters(command=sys.executable, args=arguments, env={"PYTHONPATH": str(ROOT)})
    out: dict[str, Any] = {}
    with anyio.fail_after(120):
        async with stdio_client(parameters) as streams, ClientSession(*streams) as session:
            out["server"] = await session.initialize()
            out["tools"] = (await session.list_tools()).tools
            for name, (tool, call) in CALLS.items():
                out[name] = await session.call_tool(tool, call)
    return out


def data_of(answer: Any) -> dict[str, Any]:
    assert not answer.is_error, answer.content
    data: dict[str, Any] = answer.structured_content
    return data


def test_the_server_names_its_tools_and_teaches_the_language(answers: dict[str, Any]) -> None:
    assert answers["server"].server_info.version == archdsl.__version__
    names = {tool.name for tool in answers["tools"]}
    assert names == {"check", "params", "explain", "diff", "list", "expand", "diagram"}
    for tool in answers["tools"]:
        assert tool.description and tool.annotations.read_only_hint
        assert tool.output_schema["properties"]
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
    lines = answers["server"].instructions.split("\n\n")[1]
    assert archdsl.loads(lines).params > 0


def test_a_correct_spec(answers: dict[str, Any]) -> None:
    assert data_of(answers["check"]) == {"ok": True, "networks": ["tiny"], "problems": [], "claims": {}}
    assert data_of(answers["library"])["claims"]["resnet18"][0] == "params 11.7M (11,689,512)"
    assert json.loads(answers["check"].content[0].text) == data_of(answers["check"])


def test_an_error_has_its_place(answers: dict[str, Any]) -> None:
    found = data_of(answers["typo"])
    assert not found["ok"]
    [problem] = found["problems"]
    lines = TYPO.splitlines()
    assert lines[problem["line"] - 1][problem["column"] - 1 : problem["end_column"] - 1] == "strid=2"
    assert problem["code"] == "E0309"
    assert "stride" in problem["help"]
    failed = answers["drawn typo"]
    assert failed.is_error
    assert failed.structured_content["problems"][0]["line"] == problem["line"]
    assert "strid" in failed.content[0].text


def test_shapes_and_costs_are_exact(answers: dict[str, Any]) -> None:
    found = data_of(answers["params"])
    assert [part["output"] for part in found["parts"]] == [[3, 16, 16], [4, 16, 16], [4, 1, 1], [3]]
    conv, head = 4 * 3 * 9 + 2 * 4, 4 * 3 + 3
    assert [part["params"] for part in found["parts"]] == [0, conv, 0, head]
    assert found["totals"]["params"] == conv + head
    assert found["outputs"] == {"output": [3]}
    assert [part["line"] for part in found["parts"]][1:] == [5, 6, 7]


def test_the_other_tools(answers: dict[str, Any]) -> None:
    assert "E0412" in data_of(answers["explain"])["text"]
    assert not data_of(answers["diff"])["equal"]
    assert archdsl.loads(data_of(answers["expand"])["text"]).params == archdsl.loads(TINY).params


def test_a_drawing_is_text_and_an_image(answers: dict[str, Any]) -> None:
    svg, png = answers["diagram"].content
    assert ElementTree.fromstring(svg.text).tag.endswith("svg")
    assert png.mime_type == "image/png"
    assert base64.b64decode(png.data).startswith(b"\x89PNG")
    assert set(data_of(answers["diagram"])) == {"alt", "caption", "note"}
    assert [block.type for block in answers["svg"].content] == ["text"]


def test_files_below_the_root_only(answers: dict[str, Any]) -> None:
    assert data_of(answers["below"])["name"] == "own"
    assert data_of(answers["text extends"])["totals"]["params"] == archdsl.loads(TINY).params
    for name in ("above", "absolute", "link", "model"):
        assert answers[name].structured_content["problems"][0]["code"] == "E0114", name
    for name in ("extends", "extends above", "labels"):
        assert data_of(answers[name])["problems"][0]["code"] == "E0207", name
    for answer in map(answers.get, CALLS):
        assert "secret" not in str(answer) and "root:" not in str(answer)


def test_hostile_inputs(answers: dict[str, Any]) -> None:
    assert data_of(answers["bomb"])["problems"][0]["code"] == "E0314"
    assert not data_of(answers["factory"])["ok"]
    assert answers["10 MB"].structured_content["problems"][0]["code"] == "E0107"
    for name in ("no spec", "number", "list", "unknown"):
        assert answers[name].is_error, name
        assert "Traceback" not in answers[name].content[0].text
    assert data_of(answers["after all"])["ok"]


# --- functions -------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    token = specs.root.set(tmp_path)
    yield tmp_path
    specs.root.reset(token)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ArchError) as caught:
        call()
    return caught.value.diagnostics[0].code


def test_without_a_root_no_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(TINY)
    for name in ("own.yaml", "./own.yaml", str(tmp_path / "own.yaml"), "C:\\own.yaml", "own.yaml#tiny"):
        assert code_of(lambda name=name: tools.params(name)) == "E0114"  # type: ignore[misc]
    assert tools.params("extends: own.yaml\n").problems[0].code == "E0207"
    assert code_of(lambda: tools.params("own")) == "E0205"


def test_a_text_is_never_a_file_or_a_name(folder: Path) -> None:
    assert tools.check("{input: 3x8x8, net: {a: gap}}").ok
    assert tools.check("input: 3x8x8\nnet: {a: 3x3 conv 2, b: gap}\n# other.yaml").ok
    assert not tools.check("").ok
    (folder / "network").write_text("net: [")  # the name that a text without a name has
    assert tools.check("{input: 3x8x8, net: {a: gap}}").networks == ["network"]


def test_few_of_many_parts() -> None:
    whole = tools.params("resnet50", every_node=True)
    assert whole.omitted == 0
    inside = tools.params("resnet50", every_node=True, within="layer3.0.")
    assert 0 < len(inside.parts) < len(whole.parts)
    assert all(part.path.startswith("layer3.0.") for part in inside.parts)
    long = tools.params("input: 3x8x8\nnet: [600 * relu]\n", every_node=True)
    assert (len(long.parts), long.omitted) == (500, 101)


def test_answers_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "MAX_TEXT", 100)
    assert code_of(lambda: tools.expand(TINY)) == "E0891"


def test_library_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = [entry_of(archdsl.load(name)) for name in archdsl.list("lenet5*")]  # the whole library takes too long
    monkeypatch.setattr("archdsl.library.listing.catalog", lambda progress: counted)
    found = tools.list_networks(["lenet5*"], most=1)
    assert found.total > 1 == len(found.networks)
    assert found.networks[0]["params"] > 0
    assert tools.expand("lenet5", "written").text.startswith("#")


# --- the server ------------------------------------------------------------------------------------------


def test_a_call_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LIMIT_S", 0.2)
    answer: Any = anyio.run(server.server().call_tool, "params", {"spec": SLOW})
    assert answer.structured_content["problems"][0]["code"] == "E0891"


def test_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = CliRunner().invoke(main, ["mcp", "--root", str(tmp_path / "none")])
    assert (missing.exit_code, "E0114" in missing.stderr) == (2, True)
    monkeypatch.setattr("archdsl.packages.find_spec", lambda name: None)
    without = CliRunner().invoke(main, ["mcp"])
    assert without.exit_code == 2
    assert "mcp is not installed" in without.stderr and "[mcp]" in without.stderr


def test_the_extra_installs_what_is_tested() -> None:
    assert int(version("mcp").split(".")[0]) >= 2
    assert 'mcp = ["mcp>=2"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")

"""Every public name, command, option, key, op and diagnostic has its entry in the reference of the site.

Tests `tools/reference.py`. The lists come from elsewhere than the pages: click's parameters, the keys that the
reader of specs knows, the JSON Schema.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import click

import archdsl
from archdsl import explain
from archdsl.cli import main
from archdsl.language.keys import COMMON_KEYS, COMPOSITE_KEYS, TOP_LEVEL
from archdsl.ops import OPS_BY_NAME
from tests.support.places import DOCS, ROOT

sys.path.insert(0, str(ROOT / "tools"))
reference = importlib.import_module("reference")


@cache
def pages() -> dict[str, str]:
    return dict(reference.pages())


def every_command(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from every_command(inner, f"{path} {name}")


def test_every_command_and_option() -> None:
    for path, command in list(every_command(main, "archdsl"))[1:]:
        page = pages()[f"cli/{path.split()[1]}.md"]
        heading = re.search(rf"^#+ {path}\n(.*?)(?=^#+ archdsl|\Z)", page, re.MULTILINE | re.DOTALL)
        assert heading is not None, path
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                for name in (*option.opts, *option.secondary_opts):
                    assert re.search(rf"^`[^`\n]*(?<![\w-]){name}\b[^`\n]*`\n: \S", heading[1], re.MULTILINE), (
                        path,
                        name,
                    )
        assert "Example" not in heading[1] and f"archdsl {path.split()[1]}" in heading[1]


def members(value: Any) -> set[str]:
    return {name for name, it in vars(value).items() if not name.startswith("_") and callable(getattr(it, "fget", it))}


def test_every_public_name_and_what_it_returns() -> None:
    for name in archdsl.__all__:
        value = getattr(archdsl, name)
        page = pages()[f"python/{name}.md"]
        assert page.startswith(f"# archdsl.{name}\n")
        assert not (inspect.getdoc(value) or f"{name}(").startswith(f"{name}("), f"{name} has no docstring"
        if inspect.isfunction(value):
            for parameter in inspect.signature(value).parameters.values():
                assert re.search(rf"\b{parameter.name}\b", page), (name, parameter.name)
            returned = str(value.__annotations__["return"])
            assert returned in page
            if returned[0].isupper() and returned.isalpha():
                assert f"## {returned}\n" in page or f"python/{returned}.md" in pages(), (name, returned)
        elif name != "Node":
            missing = {m for m in members(value) if f"## {name}.{m}\n" not in page}
            assert not {m for m in missing if inspect.isfunction(vars(value)[m])}, missing


def test_every_key_of_the_language() -> None:
    tables = reference.key_tables()
    assert set(tables["DocumentForm"]) == set(TOP_LEVEL)
    forms = {"do": "DoForm", "residual": "ResidualForm", "branches": "BranchesForm", "inception": "InceptionForm"}
    for head, form in {**forms, "dense": "DenseForm", "call": "CallForm"}.items():
        assert set(tables[form]) | set(tables["Common"]) == set(COMPOSITE_KEYS[head])
    schema = json.loads((DOCS / "archdsl.schema.json").read_text(encoding="utf-8"))["$defs"]
    assert set(tables["Claims"]) == set(schema["claims"]["properties"])
    assert set(tables["PaperForm"]) == set(schema["paper"]["properties"])
    for table in tables.values():
        for key in table:
            assert f"| `{key}` |" in pages()["keys.md"]


def test_every_op_and_its_fields() -> None:
    text = (DOCS / "ops.md").read_text(encoding="utf-8")
    schema = json.loads((DOCS / "archdsl.schema.json").read_text(encoding="utf-8"))["$defs"]
    for name in OPS_BY_NAME:
        section = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
        assert section is not None, name
        for field in schema[f"op_{name}"].get("properties", {}):
            assert re.search(rf"`{field}\b", section[1]) or field in ("op", "norm", "act", *COMMON_KEYS), (name, field)


def test_every_diagnostic() -> None:
    for code in explain.codes():
        assert pages()[f"diagnostics/{code}.md"].startswith(f"# {code}: ")
        assert f"[{code}]({code}.md)" in pages()["diagnostics/index.md"]


def test_no_star_of_a_text_is_emphasis() -> None:
    """Markdown would leave out the stars of `specs/*.yaml` and print in italics what is between two of them."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    texts = {**pages(), "ops.md": (DOCS / "ops.md").read_text(encoding="utf-8")}
    emphasised = [
        (name, words) for name, text in texts.items() for words in re.findall(r"<em>(.*?)</em>", parser.render(text))
    ]
    assert not [(name, words) for name, words in emphasised if re.search("[/#(,]", words)]
    assert re.findall("<em>", parser.render(reference.escaped("'specs/*.yaml', `a*b*`, \n* x * y"))) == []

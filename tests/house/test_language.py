"""Keeps phrases out of help texts, diagnostics and pages that do not say who does what, or not in the field's words."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.places import PACKAGE, ROOT

BANNED = re.compile(
    r"\b("
    r"(is|are|was|be|been) told|bears?|bear|(stands?|what comes|comes) behind|held (against|to)|hold (it|them|each)"
    r" against"
    r"|judges?|judged|said twice|of ours|goes without saying|make something of it|what arrives|what comes out"
    r"|told in one run|whatever it is|nothing was built|begun"
    r")\b",
    re.IGNORECASE,
)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
    *sorted((PACKAGE / "explain").glob("*.md")),
]
FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def texts(path: Path) -> list[str]:
    """What a reader sees of a file: a page without its code blocks, or a module's strings and public docstrings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return [FENCE.sub("", text)]
    tree = ast.parse(text)
    hidden = {id(docstring) for node in ast.walk(tree) if (docstring := _private_docstring(node)) is not None}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in hidden
    ]


def _private_docstring(node: ast.AST) -> ast.expr | None:
    if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or not node.name.startswith("_"):
        return None
    first = node.body[0]
    return first.value if isinstance(first, ast.Expr) else None


def phrases(path: Path) -> list[str]:
    return [match[0] for text in texts(path) for match in BANNED.finditer(text)]


@pytest.mark.parametrize("path", (*PAGES, *FILES), ids=name_of)
def test_texts_have_no_banned_phrase(path: Path) -> None:
    assert not phrases(path)


def test_these_tests_can_fail(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Nodes bear the paths.\n```\nis told\n```\nThe error is told.", encoding="utf-8")
    assert phrases(page) == ["bear", "is told"]
    module = tmp_path / "module.py"
    module.write_text('def f():\n    """Judged."""\ndef _g():\n    """Judged."""\nx = f"{1} of ours"', encoding="utf-8")
    assert sorted(phrases(module)) == ["Judged", "of ours"]

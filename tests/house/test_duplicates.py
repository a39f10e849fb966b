"""No two places of the package share a run of ten lines of code: one rule in one place."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping

from tests.support.places import PACKAGE

RUN = 10
"""Equal lines in a row that are a copy."""
_WORD = re.compile(r"\w")


def code_lines(text: str) -> list[tuple[int, str]]:
    """The lines of code with their numbers: no blank lines, comments, docstrings, imports, lone punctuation or
    parameters on lines of their own; the indentation and the comment behind a line do not count."""
    passed_over = set(_documentation_and_imports(ast.parse(text)))
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return [
        (number, " ".join(line.split()))
        for number, line in enumerate(lines, 1)
        if number not in passed_over and _WORD.search(line)
    ]


def _documentation_and_imports(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        if text or isinstance(node, ast.Import | ast.ImportFrom):
            assert isinstance(node, ast.stmt) and node.end_lineno is not None
            yield from range(node.lineno, node.end_lineno + 1)
        if isinstance(node, ast.FunctionDef):
            yield from range(node.lineno + 1, node.body[0].lineno)  # parameters: two functions may take the same


def copies(texts: Mapping[str, str], run: int = RUN) -> list[str]:
    """The places of runs that stand twice, each pair once, at its first `run` lines."""
    first: dict[tuple[str, ...], tuple[str, int, int]] = {}
    found: list[str] = []
    for name, text in texts.items():
        lines = code_lines(text)
        ended = -run
        for at in range(len(lines) - run + 1):
            window = tuple(line for _, line in lines[at : at + run])
            other, place, number = first.setdefault(window, (name, at, lines[at][0]))
            if (other == name and at < place + run) or at < ended:
                continue
            found.append(f"{other}:{number} ~ {name}:{lines[at][0]}")
            ended = at + run
    return found


def test_no_two_places_share_ten_lines() -> None:
    texts = {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))
    }
    assert not copies(texts)


def test_the_test_above_can_fail() -> None:
    lines = [f"    step({number})" for number in range(RUN)]
    spaced = [*lines[:4], "", "    # why", "    import os", f"{lines[4]}  # the same", "    )", *lines[5:]]
    one = "\n".join(["def one():", *lines])
    two = "\n".join(["def two():", '    """Other words."""', *spaced]).replace("    )\n", "")
    assert copies({"a.py": one, "b.py": two}) == ["a.py:2 ~ b.py:3"]
    assert copies({"a.py": f"{one}\n{two}"}) == [f"a.py:2 ~ a.py:{RUN + 4}"]
    assert not copies({"a.py": one, "b.py": two.replace("step(8)", "other(8)")}), "fewer lines are no copy"


def test_equal_lines_in_a_row_are_no_copy_of_themselves() -> None:
    assert not copies({"a.py": "\n".join(["x = [", *["    1,"] * (2 * RUN - 1), "]"])})

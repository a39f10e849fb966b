"""Turn names and texts of a spec into Python: identifiers, class names, literals, docstrings.

All texts of a spec in generated source pass through this file. The language allows ASCII names only; this file ensures
that again, so that it is safe by itself.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

RESERVED = frozenset(
    (
        *keyword.kwlist,
        *keyword.softkwlist,
        *dir(builtins),
        "self",
        "torch",
        "nn",
        "F",
        "Tensor",
        "OrderedDict",
        "NamedTuple",
        "Any",
        # These look like digits.
        "l",
        "I",
        "O",
    )
)
"""Names that a generated file must not define."""


def identifier(name: str) -> str:
    """Return a Python identifier for `name`: `block1-0` -> `block1_0`, `0` -> `_0`, `in` -> `in_`."""
    word = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not word or word[0].isdigit():
        word = f"_{word}"
    return f"{word}_" if word in RESERVED else word


def is_attribute(name: str) -> bool:
    """Whether a child can be read as `self.name`. (Python mangles names with two leading underscores.)"""
    return (
        re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None and not keyword.iskeyword(name) and name[:2] != "__"
    )


def class_name(name: str) -> str:
    """Return a class name: `inception_v3` -> `InceptionV3`, `squeezenet1_1` -> `Squeezenet1_1`."""
    word = ""
    for part in re.split(r"[^A-Za-z0-9]+", name):
        between = "_" if word[-1:].isdigit() and part[:1].isdigit() else ""
        word += between + part[:1].upper() + part[1:]
    if not word or word[0].isdigit():
        word = f"Block{word}"
    return f"{word}Block" if word in RESERVED else word


def unique(word: str, taken: Iterable[str], between: str = "") -> str:
    """Return the word, followed by the first free number from 2 if it is taken."""
    taken = set(taken)
    number, free = 2, word
    while free in taken:
        free, number = f"{word}{between}{number}", number + 1
    return free


def field_names(names: Iterable[str]) -> list[str]:
    """Return the fields of a named tuple for outputs of these names: different identifiers without a leading
    underscore."""
    fields: list[str] = []
    for name in names:
        word = identifier(name).lstrip("_") or "output"
        word = f"output_{word}" if word[0].isdigit() or word in ("count", "index") else word
        fields.append(unique(word, fields, "_"))
    return fields


def literal(value: object) -> str:
    """Return a constant as Python source. Raises TypeError unless it is None, bool, int, float, str or a tuple of
    them."""
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f'float("{value}")'
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    raise TypeError(f"no literal for {type(value).__name__}")


def quoted(text: str) -> str:
    """Return a string literal in double quotes, on one line; characters that are not printable are escaped."""
    return '"' + _escaped(text) + '"'


def docstring(lines: Iterable[str], indent: str = "") -> list[str]:
    """Return the lines of a docstring. Quotes and backslashes are escaped, so no text can end it."""
    safe = [_escaped(part) for line in lines for part in (line.split("\n") or [""])]
    if len(safe) == 1:
        return [f'{indent}"""{safe[0]}"""']
    return [f'{indent}"""{safe[0]}', *(f"{indent}{line}".rstrip() for line in safe[1:]), f'{indent}"""']


def comment(text: str) -> str:
    """Return a text that can follow a `#`."""
    return _escaped(text)


def _escaped(text: str) -> str:
    inner = repr(text + "'\"")[1:-1]  # with both quotes inside, `repr` uses single quotes
    inner = inner[: -len("\\'\"")].replace("\\'", "'")
    return re.sub(r'(?<!\\)((?:\\\\)*)"', r'\1\\"', inner)

"""The one place where names and texts of a spec become Python: identifiers, class names, literals, docstrings.

Nothing of a spec reaches generated source by another way. Names are ASCII by the language's own rule; here they are
made so again, so that this file is safe by itself.
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
        # They look like digits.
        "l",
        "I",
        "O",
    )
)
"""What no name of a generated file may be."""


def identifier(name: str) -> str:
    """A Python identifier that says the same as `name`: `block1-0` -> `block1_0`, `0` -> `_0`, `in` -> `in_`."""
    word = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not word or word[0].isdigit():
        word = f"_{word}"
    return f"{word}_" if word in RESERVED else word


def is_attribute(name: str) -> bool:
    """Whether a child may be read as `self.name`. (Python changes names with two leading underscores.)"""
    return (
        re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None and not keyword.iskeyword(name) and name[:2] != "__"
    )


def class_name(name: str) -> str:
    """`inception_v3` -> `InceptionV3`, `squeezenet1_1` -> `Squeezenet1_1`; capitals inside are kept."""
    word = ""
    for part in re.split(r"[^A-Za-z0-9]+", name):
        between = "_" if word[-1:].isdigit() and part[:1].isdigit() else ""
        word += between + part[:1].upper() + part[1:]
    if not word or word[0].isdigit():
        word = f"Block{word}"
    return f"{word}Block" if word in RESERVED else word


def unique(word: str, taken: Iterable[str], between: str = "") -> str:
    """The word, or with the first free number from 2 behind it."""
    taken = set(taken)
    number, free = 2, word
    while free in taken:
        free, number = f"{word}{between}{number}", number + 1
    return free


def field_names(names: Iterable[str]) -> list[str]:
    """Fields of a named tuple for outputs of these names: identifiers, all different, none with a leading
    underscore."""
    fields: list[str] = []
    for name in names:
        word = identifier(name).lstrip("_") or "output"
        word = f"output_{word}" if word[0].isdigit() or word in ("count", "index") else word
        fields.append(unique(word, fields, "_"))
    return fields


def literal(value: object) -> str:
    """A constant as Python source. Raises TypeError for anything but None, bool, int, float, str and tuples of them."""
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
    """A string literal in double quotes, on one line; what does not print is escaped."""
    return '"' + _escaped(text) + '"'


def docstring(lines: Iterable[str], indent: str = "") -> list[str]:
    """The lines of a docstring. What the lines say stays inside it, whatever they say."""
    safe = [_escaped(part) for line in lines for part in (line.split("\n") or [""])]
    if len(safe) == 1:
        return [f'{indent}"""{safe[0]}"""']
    return [f'{indent}"""{safe[0]}', *(f"{indent}{line}".rstrip() for line in safe[1:]), f'{indent}"""']


def comment(text: str) -> str:
    """Text for behind a `#`."""
    return _escaped(text)


def _escaped(text: str) -> str:
    inner = repr(text + "'\"")[1:-1]  # with both quotes inside, `repr` chooses single ones
    inner = inner[: -len("\\'\"")].replace("\\'", "'")
    return re.sub(r'(?<!\\)((?:\\\\)*)"', r'\1\\"', inner)

"""Blocks: equal modules with holes, whose values become literals, expressions or arguments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from archdsl.backends.spec.recover.fields import MISSING, SIZES, Hole, literal
from archdsl.backends.spec.recover.tree import Group
from archdsl.language.names import LANGUAGE_WORDS
from archdsl.ops import OPS_BY_NAME

LETTERS = {"out": "w", "kernel": "k", "stride": "s", "repeat": "n", "groups": "g", "dilation": "d", "act": "a"}
"""Names of arguments by the field that they set; other fields have their own."""
MAX_RATIO = 64


@dataclass(slots=True, eq=False)
class Param:
    """An argument of a block: its values in all copies, and its default, if it has one.

    `formula`: the text of the default; a call never sets such an argument.
    """

    name: str
    field: str
    values: list[Any]
    default: Any = MISSING
    formula: str = ""


@dataclass(slots=True, eq=False)
class Template:
    """A block. `texts` are the expressions of its holes in order, None for a literal.

    `sample` is a copy with all parts; `shortcut` the word or part of a residual block around the body.
    """

    name: str
    copies: list[Group]
    sample: Group
    shortcut: str = ""
    params: list[Param] = field(default_factory=list)
    texts: list[str | None] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    inputs: tuple[str, ...] = ()
    net: bool = False
    """Whether it is the net of several networks, of which each count is an argument of its own."""

    @property
    def arguments(self) -> list[Param]:
        """The arguments that calls set, those without defaults first."""
        own = [p for p in self.params if not p.formula]
        return sorted(own, key=lambda p: p.default is not MISSING)

    @property
    def paths(self) -> frozenset[str]:
        """The paths of its copies."""
        return frozenset(group.path for group in self.copies)

    def header(self) -> str:
        """Return `basic(w, s=1)`."""
        hidden = [f"{p.name}={p.formula}" for p in self.params if p.formula]
        words = [p.name if p.default is MISSING else f"{p.name}={literal(p.default)}" for p in self.arguments]
        inside = f"({', '.join([*words, *hidden])})" if words or hidden else ""
        reads = f" <- {', '.join(self.inputs)}" if self.inputs else ""
        return f"{self.name}{inside}{reads}"


def infer(template: Template, columns: Sequence[Sequence[Hole]], channels: Sequence[int]) -> None:
    """Set the arguments of a template, and what its holes are.

    `columns` are the holes of all copies, one sequence for each hole; `channels` those of the copies' inputs.
    """
    for holes in columns:
        known = [n for n, hole in enumerate(holes) if hole.value is not MISSING]
        values = [hole.value for hole in holes]
        first = values[known[0]] if known else MISSING
        template.values.append(first)
        if all(_same(values[n], first) for n in known):
            template.texts.append(None)
        else:
            template.texts.append(_expression(template, holes, values, known, channels))
    for param in template.params:
        set_values = [value for value in param.values if value is not MISSING]
        (value, count), *_ = Counter(map(_Typed, set_values)).most_common(1)
        if not param.formula and param.field not in SIZES and count * 2 > len(set_values):
            param.default = value.value
        param.values = [value.value if v is MISSING else v for v in param.values]


class _Typed:
    """A value that is equal only to one of its type: 1 is not true."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Typed) and _same(self.value, other.value)

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


def _same(one: Any, two: Any) -> bool:
    return type(one) is type(two) and one == two


def _expression(
    template: Template, holes: Sequence[Hole], values: Sequence[Any], known: Sequence[int], channels: Sequence[int]
) -> str:
    kind = holes[0].field
    sized = kind in SIZES and all(type(values[n]) is int and values[n] > 0 for n in known)
    params = [p for p in template.params if (p.field in SIZES) == sized or p.field == kind]
    for param in () if template.net and kind == "repeat" else params:
        if (param.field == kind or (sized and param.field != "repeat")) and all(
            _same(param.values[n], values[n]) for n in known
        ):
            return param.name
    if sized and kind != "repeat":
        local = [hole.channels for hole in holes]
        sources = [*((p.name, p.values) for p in params if p.field != "repeat"), ("in", local)]
        for name, column in sources:
            text = _ratio(name, [column[n] for n in known], [values[n] for n in known])
            if text:
                return text
        formula = _ratio("in", [channels[n] for n in known], [values[n] for n in known])
    else:
        formula = ""
    full = [values[n] if n in {*known} else MISSING for n in range(len(values))]
    if formula:
        full = [_applied(values, known, channels, n) for n in range(len(values))]
    param = Param(_argument_name(template, kind), kind, full, formula=formula)
    template.params.append(param)
    return param.name


def _applied(values: Sequence[Any], known: Sequence[int], channels: Sequence[int], n: int) -> Any:
    """The value of a formula of the input channels where the hole itself does not exist."""
    if n in known:
        return values[n]
    return channels[n] * values[known[0]] // channels[known[0]]


def _ratio(name: str, column: Sequence[Any], values: Sequence[int]) -> str:
    """The values as a multiple or a fraction of a column: `4*w`, `in//4`; empty if they are none."""
    if any(type(c) is not int or c <= 0 for c in column):
        return ""
    times, divided = values[0] // column[0], column[0] // values[0]
    if 1 <= times <= MAX_RATIO and all(v == times * c for v, c in zip(values, column, strict=True)):
        return name if times == 1 else f"{times}*{name}"
    if 1 < divided <= MAX_RATIO and all(v * divided == c for v, c in zip(values, column, strict=True)):
        return f"{name}//{divided}"
    if 1 < divided <= MAX_RATIO and all(v == c // divided for v, c in zip(values, column, strict=True)):
        return f"{name}//{divided}"
    if all(2 * v == 3 * c for v, c in zip(values, column, strict=True)):
        return f"3*{name}//2"
    return ""


def _argument_name(template: Template, kind: str) -> str:
    stem = LETTERS.get(kind, kind)
    if stem in OPS_BY_NAME or stem in LANGUAGE_WORDS:
        stem = stem[:1] if stem[:1] not in ("i",) else "v"
    taken = {p.name for p in template.params}
    number, name = 1, stem
    while name in taken:
        number += 1
        name = f"{stem}{number}"
    return name

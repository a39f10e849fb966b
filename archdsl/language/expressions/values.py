"""Values of expressions, where names are looked up, and what an expression is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from archdsl.diagnostics import Span, error

Value: TypeAlias = bool | int | float | Fraction | str | tuple[Any, ...] | None
"""A string is the name of a kind or block, standing for itself; a tuple is a list of values."""

Number: TypeAlias = int | float | Fraction
Lookup: TypeAlias = Callable[[str], Value]
"""What a name stands for; raises KeyError(name) where it stands for nothing."""

MAX_TEXT = 2_000
MAX_DEPTH = 32
MAX_ITEMS = 10_000
LIMIT = 2**63

CONSTANTS: Mapping[str, Value] = {"true": True, "false": False, "none": None}
FUNCTIONS = ("abs", "ceil", "divisible", "floor", "int", "len", "max", "min", "round", "sum")
WORDS = frozenset(("and", "or", "not", "if", "else", *CONSTANTS))
"""Words that can never be the name of an argument."""


_NO_NAMES: frozenset[str] = frozenset()


class Env:
    """Names and what they stand for, over those of `parent`.

    `lazy` holds names whose value is worked out when it is asked for (`in`), and may raise an ArchError then.
    """

    __slots__ = ("lazy", "parent", "values")

    def __init__(
        self,
        values: Mapping[str, Value],
        parent: Env | None = None,
        lazy: Mapping[str, Callable[[], Value]] | None = None,
    ) -> None:
        self.values = values
        self.parent = parent
        self.lazy = lazy

    def __call__(self, name: str) -> Value:
        env: Env | None = self
        while env is not None:
            if name in env.values:
                return env.values[name]
            if env.lazy is not None and name in env.lazy:
                return env.lazy[name]()
            env = env.parent
        raise KeyError(name)

    @property
    def known(self) -> tuple[str, ...]:
        """Every name there is, the nearest first."""
        names: dict[str, None] = {}
        env: Env | None = self
        while env is not None:
            names.update(dict.fromkeys(env.values))
            names.update(dict.fromkeys(env.lazy or ()))
            env = env.parent
        return tuple(names)

    @property
    def own(self) -> tuple[str, ...]:
        """Of `known` those that do not just stand for themselves, as the names of kinds and blocks do."""
        same: set[str] = set()
        env: Env | None = self
        while env is not None:
            same.update(name for name, value in env.values.items() if value == name)
            env = env.parent
        return tuple(name for name in self.known if name not in same)


@dataclass(frozen=True, slots=True, eq=False)
class Expr:
    """An expression, ready to be evaluated. `names` are all that stand in it, `constant` says that there are none."""

    text: str
    span: Span
    names: frozenset[str]
    constant: bool
    run: Callable[[Lookup], Value]

    def evaluate(self, env: Lookup) -> Value:
        """Errors: E0304 an unknown name, E0305 a wrong type or index, or 1/0, E0306 too large a number."""
        return self.run(env)


class Arg(NamedTuple):
    """`3`, `s=2` or, with `star`, `*rows[i]`; `span` is all of it."""

    value: Expr
    star: bool
    name: str | None
    span: Span


class BlockCall(NamedTuple):
    name: str
    name_span: Span
    args: tuple[Arg, ...]
    span: Span


def literal(value: Value, span: Span) -> Expr:
    """A constant that stands at `span`.

    Errors: E0306 a number of 2^63 or more, or a list of more than 10,000 items.
    """
    return literal_of(value, span, show(value))


def literal_of(value: Value, span: Span, text: str) -> Expr:
    _check_literal(value, span)
    return Expr(text, span, _NO_NAMES, True, _constant(value) if type(value) is int else lambda env: value)


@lru_cache(maxsize=1024)
def _constant(value: int) -> Callable[[Lookup], Value]:
    """The same number is written many times: one closure for all of them."""
    return lambda env: value


def _check_literal(value: Value, span: Span) -> None:
    if isinstance(value, tuple):
        if len(value) > MAX_ITEMS:
            raise error("E0306", f"a list of {len(value):,} items; the limit is {MAX_ITEMS:,}", span)
        for item in value:
            _check_literal(item, span)
    elif isinstance(value, int) and not -LIMIT < value < LIMIT:
        raise error("E0306", f"{show(value)} is too large: numbers stay below 2^63", span)


def show(value: Value) -> str:
    """A value as it would be written: `3/2`, `[1, 2]`, `true`, `none`."""
    if isinstance(value, tuple):
        items = [show(item) for item in value[:20]] + (["..."] if len(value) > 20 else [])
        return f"[{', '.join(items)}]"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**40:
        return f"{str(value)[:20]}... ({len(str(value))} digits)"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.1f}"
    return str(value)


def truth(value: Value, span: Span) -> bool:
    """Whether a condition holds: booleans, numbers (0 does not), lists (empty does not), `none` (does not).

    Errors: E0305 a name, which is neither true nor false.
    """
    if isinstance(value, str):
        raise error("E0305", f"`{value}` is neither true nor false", span, help="compare it: `a == relu`")
    return bool(value)


def as_whole(value: Value, span: Span, what: str) -> int:
    """The whole number that `what` must be.

    Errors: E0315 it is a fraction, E0305 it is no number at all, E0306 it is too large.
    """
    if type(value) is int:
        if -LIMIT < value < LIMIT:
            return value
        raise error("E0306", f"{what} is too large: numbers stay below 2^63", span)
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise error("E0305", f"{what} must be a whole number, not {described(value)}", span)
    if math.isfinite(value) and value == int(value):
        return as_whole(int(value), span, what)
    written, shown = " ".join(span.text.split()), _decimal(value)
    came = shown if written == shown or len(written) > 60 else f"{written} is {shown}"
    raise error("E0315", f"{what} must come out whole: {came}", span, help="`//` divides and rounds down")


def _decimal(value: Number) -> str:
    """38.4 for 192/5, which a decimal says exactly, but 1/3 for 1/3."""
    if isinstance(value, Fraction):
        rounded = round(value, 4)
        if rounded == value:
            return str(float(rounded))
    return show(value)


def described(value: Value) -> str:
    if isinstance(value, tuple):
        return f"the list {show(value)}"
    if isinstance(value, str):
        return f"the name `{value}`"
    return f"`{show(value)}`"

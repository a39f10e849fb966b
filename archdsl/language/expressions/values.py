"""Values, environments and parsed expressions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from archdsl.diagnostics import Proposal, Span, error

Value: TypeAlias = bool | int | float | Fraction | str | tuple[Any, ...] | None
"""A string is the name of an op or block; a tuple is a list of values."""

Number: TypeAlias = int | float | Fraction
Lookup: TypeAlias = Callable[[str], Value]
"""Returns the value of a name; raises KeyError(name) if it has none."""

MAX_TEXT = 2_000
MAX_DEPTH = 32
MAX_ITEMS = 10_000
LIMIT = 2**63

CONSTANTS: Mapping[str, Value] = {"true": True, "false": False, "none": None}
FUNCTIONS = ("abs", "ceil", "divisible", "floor", "int", "len", "max", "min", "round", "sum")
OF_INPUT = frozenset(("in", "axes"))
"""Names of what the input of a node decides: its channels, and its spatial axes."""

WORDS = frozenset(("and", "or", "not", "if", "else", *CONSTANTS))
"""Words that cannot name an argument."""


_NO_NAMES: frozenset[str] = frozenset()


class Env:
    """Names and their values, on top of those of `parent`.

    `lazy` holds functions for names whose value is computed on use (`in`); they can raise an ArchError.
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
        """All names, the innermost first."""
        names: dict[str, None] = {}
        env: Env | None = self
        while env is not None:
            names.update(dict.fromkeys(env.values))
            names.update(dict.fromkeys(env.lazy or ()))
            env = env.parent
        return tuple(names)

    @property
    def own(self) -> tuple[str, ...]:
        """The names in `known` without the names of ops and blocks."""
        same: set[str] = set()
        env: Env | None = self
        while env is not None:
            same.update(name for name, value in env.values.items() if value == name)
            env = env.parent
        return tuple(name for name in self.known if name not in same)


@dataclass(frozen=True, slots=True, eq=False)
class Expr:
    """A parsed expression. `names` are all names in it; `constant` means that there are none."""

    text: str
    span: Span
    names: frozenset[str]
    constant: bool
    run: Callable[[Lookup], Value]

    def evaluate(self, env: Lookup) -> Value:
        """Return the value. Raises E0304 (unknown name), E0305 (wrong type, index or 1/0), E0306 (too large)."""
        return self.run(env)


class Arg(NamedTuple):
    """An argument of a call: `3`, `s=2` or, with `star`, `*rows[i]`."""

    value: Expr
    star: bool
    name: str | None
    span: Span


class BlockCall(NamedTuple):
    """A call of a block and its arguments."""

    name: str
    name_span: Span
    args: tuple[Arg, ...]
    span: Span


def literal(value: Value, span: Span) -> Expr:
    """Return a constant with the given span.

    Raises E0306 for a number of 2^63 or more, and for a list of more than 10,000 items.
    """
    return literal_of(value, span, show(value))


def literal_of(value: Value, span: Span, text: str) -> Expr:
    """Return a constant with the given span and text. Raises E0306."""
    _check_literal(value, span)
    return Expr(text, span, _NO_NAMES, True, _constant(value) if type(value) is int else lambda env: value)


@lru_cache(maxsize=1024)
def _constant(value: int) -> Callable[[Lookup], Value]:
    """One closure for each number: specs repeat the same numbers."""
    return lambda env: value


def _check_literal(value: Value, span: Span) -> None:
    if isinstance(value, tuple):
        if len(value) > MAX_ITEMS:
            raise error("E0306", f"this list has {len(value):,} items; the limit is {MAX_ITEMS:,}", span)
        for item in value:
            _check_literal(item, span)
    elif isinstance(value, int) and not -LIMIT < value < LIMIT:
        raise error("E0306", f"{show(value)} is too large: numbers must be below 2^63", span)


def show(value: Value) -> str:
    """Return a value as text: `3/2`, `[1, 2]`, `true`, `none`."""
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
    """Return whether a condition is true: 0, an empty list and `none` are false. Raises E0305 for a name."""
    if isinstance(value, str):
        raise error("E0305", f"`{value}` is neither true nor false", span, help="compare it: `a == relu`")
    return bool(value)


def floor_help(written: str, about: str = "") -> str:
    """Return the help for a quotient that is not a whole number; the fix of a single `/` is `//`."""
    help_ = f"`//` divides and rounds down{about}"
    return Proposal(help_, "//", "/") if written.count("/") == 1 else help_


def as_whole(value: Value, span: Span, what: str) -> int:
    """Return the value as an int. Raises E0315 for a fraction, E0305 for other types, E0306 for too large a number."""
    if type(value) is int:
        if -LIMIT < value < LIMIT:
            return value
        raise error("E0306", f"{what} is too large: numbers must be below 2^63", span)
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise error("E0305", f"{what} must be a whole number, not {described(value)}", span)
    if math.isfinite(value) and value == int(value):
        return as_whole(int(value), span, what)
    written, shown = " ".join(span.text.split()), _decimal(value)
    computed = f", not {shown}" if written == shown or len(written) > 60 else f": {written} is {shown}"
    raise error("E0315", f"{what} must be a whole number{computed}", span, help=floor_help(span.text))


def _decimal(value: Number) -> str:
    """A fraction as a decimal if that is exact: 38.4 for 192/5, but 1/3 for 1/3."""
    if isinstance(value, Fraction):
        rounded = round(value, 4)
        if rounded == value:
            return str(float(rounded))
    return show(value)


def described(value: Value) -> str:
    """Return a value with its type, for messages."""
    if isinstance(value, tuple):
        return f"the list {show(value)}"
    if isinstance(value, str):
        return f"the name `{value}`"
    return f"`{show(value)}`"

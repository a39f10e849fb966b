"""Operators and functions of expressions, exact and with limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeAlias, TypeGuard

from archdsl.diagnostics import ArchError, Span, closest, error, suggestion
from archdsl.language.expressions.values import LIMIT, OF_INPUT, Env, Lookup, Number, Value, described, show


def nothing(name: str) -> Value:
    """Look up a name in an environment without names."""
    raise KeyError(name)


def look_up(name: str, span: Span) -> Callable[[Lookup], Value]:
    """Return the function that looks up a name. Raises E0304 if the name is unknown."""

    def run(env: Lookup) -> Value:
        try:
            return env(name)
        except KeyError as missing:
            if missing.args != (name,):
                raise
            raise _unknown(name, span, env) from None
        except ArchError as problem:  # from a lazy name, which has no span
            raise _placed(problem, span) from None

    return run


_MEANT = {
    **dict.fromkeys(("True", "TRUE", "yes", "on"), "true"),
    **dict.fromkeys(("False", "FALSE", "no", "off"), "false"),
    **dict.fromkeys(("None", "NONE", "null", "Null", "NULL"), "none"),
}


_COPY = "`i`, `first` and `last` are only defined in the text of a repeated node; pass them to a block as arguments"


def _unknown(name: str, span: Span, env: Lookup) -> ArchError:
    known = env.known if isinstance(env, Env) else ()
    meant = _MEANT.get(name) or closest(name, known)
    help_ = suggestion(name, meant, known) if meant else ""
    if name in ("i", "first", "last"):
        help_ = _COPY
    elif name in OF_INPUT:
        help_ = f"`{name}` is only defined in nodes and in defaults of block arguments"
    elif not meant and isinstance(env, Env):
        own = [known for known in env.own if known not in OF_INPUT]
        help_ = (
            f"known names: {', '.join(own[:20])}"
            if own
            else "a value is a number, `true`, `false`, `none`, a list, or an argument in `args`"
        )
    return error("E0304", f"unknown name `{name[:80]}`", span, help=help_)


def _placed(problem: ArchError, span: Span) -> ArchError:
    items = [replace(item, span=span) if item.span is None else item for item in problem.diagnostics]
    return ArchError(items, problem.status)


def is_number(value: Value) -> TypeGuard[Number]:
    """Return whether the value is a number; booleans are not."""
    number_type = type(value)
    return number_type is int or number_type is float or number_type is Fraction


def normalised(value: Number) -> Number | None:
    """Return the number, a whole fraction as an int; None if it is too large or not finite."""
    if isinstance(value, Fraction):
        if value.denominator == 1:
            value = value.numerator
        elif value.denominator >= LIMIT or not -LIMIT < value.numerator < LIMIT:
            return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if -LIMIT < value < LIMIT else None


def _divide(a: int, b: int) -> Number:
    quotient, rest = divmod(a, b)
    return Fraction(a, b) if rest else quotient


def _divide_any(a: Number, b: Number) -> Number:
    return a / b if isinstance(a, float) or isinstance(b, float) else Fraction(a) / Fraction(b)


def _power(base: Number, exponent: Number) -> Number:
    """The power, exact for an exact base and a whole exponent; infinite if it is too large."""
    if isinstance(exponent, int) and not isinstance(base, float):
        if base * base != abs(base) and abs(exponent) >= LIMIT.bit_length():
            return math.inf  # its numerator or its denominator is 2^64 or more
        return Fraction(base) ** exponent
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf


def _no_quotient(a: Any, b: Any) -> bool:
    return not b


def _no_power(a: Any, b: Any) -> bool:
    return bool((not a and b < 0) or (a < 0 and b != int(b)))


INTEGER: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}
ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {**INTEGER, "/": _divide_any, "**": _power}
UNDEFINED: Mapping[str, Callable[[Any, Any], bool]] = {**dict.fromkeys(("/", "//", "%"), _no_quotient), "**": _no_power}
"""Whether the result of an operator does not exist for these numbers."""


def refused(sign: str, a: Value, b: Value) -> tuple[str, str]:
    """The code and the message for an operation without a result, or with one that is too large."""
    done = f"{_bracketed(a)} ** {show(b)}" if sign == "**" else f"{show(a)} {sign} {show(b)}"
    if sign not in UNDEFINED or not UNDEFINED[sign](a, b):
        return "E0306", f"{done} is too large: numbers must be below 2^63"
    return "E0305", f"{done} is not a real number" if a and sign == "**" else f"division by zero: {done}"


def _bracketed(base: Value) -> str:
    """A base as text: in parentheses unless it is a plain number."""
    shown = show(base)
    return shown if shown[0] != "-" and not isinstance(base, Fraction) else f"({shown})"


COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def chained(
    first: Callable[[Lookup], Value], steps: list[Callable[[Value, Lookup], Value]]
) -> Callable[[Lookup], Value]:
    """Return the function that applies the steps to the value of `first`, one after the other."""

    def run(env: Lookup) -> Value:
        value = first(env)
        for step in steps:
            value = step(value, env)
        return value

    return run


# --- functions ---------------------------------------------------------------------------------------------


class WrongArgument(Exception):
    """A function cannot take its argument number `argument`, or (None) these arguments together."""

    def __init__(self, message: str, argument: int | None = None, code: str = "E0305") -> None:
        self.argument = argument
        self.code = code
        super().__init__(message)


Values: TypeAlias = tuple[Value, ...]


def _number(values: Values, at: int = 0) -> Any:
    value = values[at]
    if not is_number(value):
        raise WrongArgument(f"needs a number, got {described(value)}", at)
    if isinstance(value, float) and not math.isfinite(value):
        raise WrongArgument(f"needs a finite number, got {show(value)}", at)
    return value


def _list(values: Values) -> tuple[Any, ...]:
    if not isinstance(values[0], tuple):
        raise WrongArgument(f"needs a list, got {described(values[0])}", 0)
    return values[0]


def _limited(value: Number) -> Number:
    result = normalised(value)
    if result is None:
        raise WrongArgument(f"{show(value)} is too large: numbers must be below 2^63", code="E0306")
    return result


_NUMBERS = frozenset((int, float, Fraction))


def _check_numbers(items: Values, spread: bool) -> None:
    """Raises WrongArgument unless all items are numbers. `spread`: the items are the arguments, not one list."""
    if set(map(type, items)) <= _NUMBERS:
        return
    at = next(at for at, item in enumerate(items) if not is_number(item))
    raise WrongArgument(f"needs numbers, got {described(items[at])}", at if spread else 0)


def _numbers(values: Values) -> Any:
    """The numbers in two or more arguments, or in one list."""
    items = values if len(values) > 1 else _list(values)
    if not items:
        raise WrongArgument("the list is empty", 0)
    _check_numbers(items, spread=len(values) > 1)
    return items


def _sum(values: Values) -> Value:
    items = _list(values)
    _check_numbers(items, spread=False)
    total: Number = 0
    if Fraction not in set(map(type, items)):
        return _limited(sum(items))
    for item in items:  # checked at every step: denominators multiply
        total = _limited(total + item)
    return total


def _rounded(how: Callable[[Any], int]) -> Callable[[Values], Value]:
    return lambda values: _limited(how(_number(values)))


def _divisible(values: Values) -> Value:
    """The multiple of `divisor` nearest to `x`, not below 0.9 x, at least `divisor` (MobileNet's `make_divisible`)."""
    x, divisor = _number(values), _number(values, 1)
    if type(divisor) is not int or divisor < 1:
        raise WrongArgument(f"needs a whole number above 0, got {show(divisor)}", 1)
    half = divisor / 2 if isinstance(x, float) else Fraction(divisor, 2)
    nearest = max(divisor, int(x + half) // divisor * divisor)
    least = 0.9 * x if isinstance(x, float) else Fraction(9, 10) * x
    return _limited(nearest + divisor if nearest < least else nearest)


BUILTINS: Mapping[str, tuple[int, float, Callable[[Values], Value]]] = {
    "abs": (1, 1, lambda values: abs(_number(values))),
    "ceil": (1, 1, _rounded(math.ceil)),
    "divisible": (2, 2, _divisible),
    "floor": (1, 1, _rounded(math.floor)),
    "int": (1, 1, _rounded(int)),
    "len": (1, 1, lambda values: len(_list(values))),
    "max": (1, math.inf, lambda values: max(_numbers(values))),
    "min": (1, math.inf, lambda values: min(_numbers(values))),
    "round": (1, 1, _rounded(round)),
    "sum": (1, 1, _sum),
}

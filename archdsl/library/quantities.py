"""Quantities with a unit, such as `5M` parameters, `2GiB` of memory and `40ms`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

from archdsl.diagnostics import ArchError, Span, error

Unit: TypeAlias = Literal["count", "bytes", "layers", "pixels", "percent", "year", "ms"]

_COUNTS = {"k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES = {"B": 1} | {
    f"{letter}{ending}": base**power
    for power, letters in enumerate(("kK", "M", "G", "T"), 1)
    for letter in letters
    for ending, base in (("B", 1000), ("iB", 1024))
}
SUFFIXES: Mapping[Unit, Mapping[str, float]] = {
    "count": _COUNTS,
    "bytes": _BYTES,
    "layers": _COUNTS,
    "pixels": {"px": 1, **_COUNTS},
    "percent": {"%": 1},
    "year": {},
    "ms": {"us": 1e-3, "ms": 1, "s": 1000},
}
"""What may follow a number of each unit, and the factor that it stands for."""
QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([-+]?[0-9]{1,3}))?[ ]?([A-Za-z%]*)", re.ASCII)
_NAMES: Mapping[Unit, str] = {"count": "a count", "ms": "a time", "percent": "a percentage"}
_EXAMPLES: Mapping[Unit, str] = {"count": "`5M` or `1.5G`", "bytes": "`512MiB` or `2GB`", "ms": "`40ms`"}


def quantity(text: str, unit: Unit, what: str) -> float:
    """Return a number with an optional suffix, such as `5M` for a count, in `unit`; `what` names its figure.

    Raises E0912 for a suffix of another unit, for bytes without one, and for a text that is no number of at least 0.
    """
    match = QUANTITY.fullmatch(text.strip())
    if match is None:
        raise _unfit(f"`{text.strip()[:40]}` is not a quantity", unit, what)
    value = scaled(match, factor(match[3], unit, what, text.strip()))
    if unit == "bytes" and value and not match[3]:
        raise without_unit(text.strip(), what)
    return value


def without_unit(text: str, what: str, span: Span | None = None) -> ArchError:
    """Return the error of a number of bytes without a suffix, which may have been meant as MiB."""
    return _unfit(f"`{text[:40]}` has no unit", "bytes", what, span)


def unknown(suffix: str, text: str, span: Span) -> ArchError:
    """Return the error of a suffix of no unit, such as that of `5m`."""
    known = [one for suffixes in SUFFIXES.values() for one in suffixes]
    meant = next((one for one in known if one.casefold() == suffix.casefold()), None)
    help_ = f"write `{text.removesuffix(suffix)}{meant}`" if meant else f"known: {', '.join(dict.fromkeys(known))}"
    return error("E0912", f"`{text[:40]}` has no known unit", span, help=help_, status=2)


def scaled(match: re.Match[str], factor: float) -> float:
    """Return the number of a match of `QUANTITY` times a factor, an int if it is whole: large counts print in full."""
    number = float(f"{match[1]}e{match[2] or 0}") * factor
    return int(number) if number.is_integer() else number


def factor(suffix: str, unit: Unit, what: str, text: str, span: Span | None = None) -> float:
    """Return the factor of a suffix. Raises E0912 if it belongs to another unit."""
    if suffix and suffix not in SUFFIXES[unit]:
        other = next((name for name, known in SUFFIXES.items() if suffix in known), None)
        why = f"is {_NAMES.get(other, f'in {other}')}" if other else "has no known unit"
        raise _unfit(f"`{text[:40]}` {why}", unit, what, span)
    return SUFFIXES[unit][suffix] if suffix else 1


def _unfit(why: str, unit: Unit, what: str, span: Span | None = None) -> ArchError:
    example = _EXAMPLES.get(unit)
    measure = "a year" if unit == "year" else _NAMES.get(unit, f"in {unit}")
    help_ = f"`{what}` is {measure}" + (f": write {example}" if example else ", without a suffix")
    return error("E0912", why, span, help=help_, status=2)

"""Checks of arguments. Functions check their arguments; the commands pass values on without checks of their own.

Messages name the parameter, which is also the name of the command's option: `device` and `--device`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping

from archdsl.diagnostics.error import ArchError, error
from archdsl.diagnostics.suggest import closest

_SHOWN = 60


def check_choice(parameter: str, value: object, known: Iterable[str]) -> None:
    """Raise E0001 (status 2) if `value` is not one of `known`; the message lists them."""
    choices = tuple(known)
    if not isinstance(value, str) or value not in choices:
        raise unknown_choice(parameter, value, choices)


def unknown_choice(parameter: str, value: object, known: Iterable[str], meant: str | None = None) -> ArchError:
    """Return E0001 (status 2): `value` is not one of `known`; `meant` is proposed, or else the one most like it."""
    choices = tuple(known)
    best = meant or (closest(value, choices) if isinstance(value, str) else None)
    return error(
        "E0001",
        f"`{parameter}` cannot be {_shown(value)}; choose one of: {', '.join(choices)}",
        status=2,
        help=f"did you mean `{best}`?" if best is not None else "",
    )


def check_range(parameter: str, value: object, least: float, most: float, *, whole: bool = True) -> None:
    """Raise E0002 (status 2) if `value` is not a number from `least` to `most`, with `whole` an integer."""
    kinds = (int,) if whole else (int, float)
    if isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most:
        return
    kind = "an integer" if whole else "a number"
    raise error("E0002", f"`{parameter}` cannot be {_shown(repr(value))}: {kind} from {least:,} to {most:,}", status=2)


def check_type(parameter: str, value: object, expected: str, *types: type) -> None:
    """Raise E0004 (status 2) if `value` has none of the `types`; `expected` describes them."""
    if not isinstance(value, types):
        raise _wrong_type(parameter, value, expected)


def check_names(parameter: str, value: object) -> None:
    """Raise E0004 (status 2) if `value` is not a collection of strings; a single string is not one."""
    if isinstance(value, str) or not isinstance(value, Collection) or not all(isinstance(x, str) for x in value):
        raise _wrong_type(parameter, value, "a list of names")


def check_mappings(**values: object) -> None:
    """Raise E0004 (status 2) for a parameter that is neither None nor a mapping from names to values."""
    for parameter, value in values.items():
        if value is not None and not (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
            raise _wrong_type(parameter, value, "a mapping from names to values")


def check_paths(**values: object) -> None:
    """Raise E0004 (status 2) for a parameter that is neither None nor a path."""
    for parameter, value in values.items():
        if value is not None and not isinstance(value, (str, os.PathLike)):
            raise _wrong_type(parameter, value, "a path")


def check_callables(**values: object) -> None:
    """Raise E0004 (status 2) for a parameter that is neither None nor a function."""
    for parameter, value in values.items():
        if value is not None and not callable(value):
            raise _wrong_type(parameter, value, "a function")


def check_flags(**values: object) -> None:
    """Raise E0004 (status 2) for a parameter that is neither None, True nor False."""
    for parameter, value in values.items():
        if value is not None and not isinstance(value, bool):
            raise _wrong_type(parameter, value, "True or False")


def conflict(message: str, help: str = "") -> ArchError:
    """Return E0003 (status 2): each argument is valid, but not together with the others."""
    return error("E0003", message, status=2, help=help)


def _wrong_type(parameter: str, value: object, expected: str) -> ArchError:
    return error(
        "E0004", f"`{parameter}` cannot be {_shown(value)} of type {type(value).__name__}: pass {expected}", status=2
    )


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return f"`{text[:_SHOWN]}`"

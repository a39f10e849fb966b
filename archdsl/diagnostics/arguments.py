"""Checks of the arguments that commands and functions share: one check, in the function; the command passes values on.

Messages name the parameter, which is also the name of the command's option: `device` and `--device`.
"""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.diagnostics.error import ArchError, error
from archdsl.diagnostics.suggest import closest

_SHOWN = 60


def check_choice(parameter: str, value: object, known: Iterable[str]) -> None:
    """Raises E0001 (status 2) if `value` is not one of `known`; the message lists them."""
    choices = tuple(known)
    if isinstance(value, str) and value in choices:
        return
    best = closest(value, choices) if isinstance(value, str) else None
    raise error(
        "E0001",
        f"`{parameter}` cannot be {_shown(value)}; choose one of: {', '.join(choices)}",
        status=2,
        help=f"did you mean `{best}`?" if best is not None else "",
    )


def check_range(parameter: str, value: object, least: float, most: float, *, whole: bool = True) -> None:
    """Raises E0002 (status 2) if `value` is not a number from `least` to `most`, with `whole` an integer."""
    kinds = (int,) if whole else (int, float)
    if isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most:
        return
    kind = "an integer" if whole else "a number"
    raise error("E0002", f"`{parameter}` cannot be {_shown(value)}: {kind} from {least:,} to {most:,}", status=2)


def conflict(message: str, help: str = "") -> ArchError:
    """E0003 (status 2): each argument is valid, but not together with the others."""
    return error("E0003", message, status=2, help=help)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return f"`{text[:_SHOWN]}`"

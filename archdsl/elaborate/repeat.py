"""The copies of a repeat, with the names, values and places of each."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.elaborate.place import Counter, ScopePlace
from archdsl.language.expressions import Env
from archdsl.language.names import copy_name

COPY_NAMES = frozenset(("i", "first", "last"))
"""Names that are only defined in copies of a repeat."""


def copy_envs(count: int, env: Env) -> Iterator[Env]:
    """Yield the environment of each of `count` copies: `COPY_NAMES` on top of `env`."""
    for number in range(count):
        yield Env({"i": number, "first": number == 0, "last": number == count - 1}, env)


def copies(
    count: int, pattern: str | None, inside: ScopePlace, counter: Counter | None, env: Env
) -> Iterator[tuple[ScopePlace, Env]]:
    """Yield the place and the environment of each copy, named by `pattern` or else by the next number of `counter`."""
    for number, copy_env in enumerate(copy_envs(count, env)):
        key = copy_name(pattern, number) if pattern else None
        yield ScopePlace(inside.scope, inside.inner, key, None if key else counter), copy_env

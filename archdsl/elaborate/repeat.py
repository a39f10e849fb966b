"""The copies of a repeat: what each knows of itself, and where it goes."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.elaborate.place import Counter, ScopePlace
from archdsl.language.expressions import Env
from archdsl.language.names import copy_name

COPY_NAMES = frozenset(("i", "first", "last"))
"""Names that only a copy of a repeat has."""


def copy_envs(count: int, env: Env) -> Iterator[Env]:
    """The values that each of `count` copies reads, `COPY_NAMES` on top of `env`."""
    for number in range(count):
        yield Env({"i": number, "first": number == 0, "last": number == count - 1}, env)


def copies(
    count: int, pattern: str | None, inside: ScopePlace, counter: Counter | None, env: Env
) -> Iterator[tuple[ScopePlace, Env]]:
    """The place and the values of each copy in a scope: named by `pattern`, else by the next number of `counter`."""
    for number, copy_env in enumerate(copy_envs(count, env)):
        key = copy_name(pattern, number) if pattern else None
        yield ScopePlace(inside.scope, inside.inner, key, None if key else counter), copy_env

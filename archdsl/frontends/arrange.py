"""Names and order of what was recognised: a place in a tree of modules for each op, every module in one piece.

A file keeps the names of weights, and perhaps of modules; the order of its nodes may go back and forth between two
modules. Both are settled here, before a graph is made.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Literal, TypeAlias

from archdsl.frontends.reading import Made
from archdsl.language.names import is_key
from archdsl.ops import Identity

Naming: TypeAlias = Literal["exact", "worded", "joined"]
"""How faithful paths are: `layer1.0.conv1`; `layer1.n0.conv1` where numbers do not make lists; `layer1_0_conv1`."""
NAMINGS: Sequence[Naming] = ("exact", "worded", "joined")

MAX_DEPTH = 32
MAX_MISSING = 8


class Tangled(Exception):
    """The modules read one another in a circle: they cannot each be written in one piece."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An op with its path. `implied`: it has no module of its own, and stands in the module `path`."""

    made: Made
    path: tuple[str, ...]
    implied: bool


def arrange(made: Sequence[Made], naming: Naming) -> list[Placed]:
    """All ops with their paths, in an order in which every module is one piece. Raises `Tangled`."""
    placed = _named(made, naming)
    return _ordered(placed, 0)


# --- names -----------------------------------------------------------------------------------------------------


def _named(made: Sequence[Made], naming: Naming) -> list[Placed]:
    taken: set[tuple[str, ...]] = set()
    kinds: Counter[str] = Counter()
    parts_of = {id(one): None if one.module is None else _parts(one.module, naming) for one in made}
    inner = {parts[:n] for parts in parts_of.values() if parts for n in range(len(parts))}
    out: list[Placed] = []
    scope: tuple[str, ...] = ()
    for one in made:
        known = parts_of[id(one)]
        parts = scope if known is None else known
        free = bool(parts) and parts not in inner and parts not in taken
        if not one.op.parametric and not free:
            scope = parts if parts in inner else parts[:-1]
            out.append(Placed(one, scope, True))
            continue
        while not parts or parts in taken or parts in inner:
            kinds[one.op.name] += 1
            parts = (*parts[:-1], f"{parts[-1] if parts else one.op.name}_{kinds[one.op.name]}")
        taken.add(parts)
        scope = parts[:-1]
        out.append(Placed(one, parts, False))
    return out


def _parts(module: str, naming: Naming) -> tuple[str, ...]:
    words = [re.sub(r"[^A-Za-z0-9_-]", "_", word) for word in module.split(".") if word][:MAX_DEPTH]
    if naming == "joined":
        joined = "_".join(words)
        words = [joined] if joined else []
    if naming != "exact":
        words = [f"n{word}" if word[0].isdigit() else word for word in words]
    return tuple(word if word.isdigit() or is_key(word) else f"{word[:90]}_" for word in words)


# --- order -----------------------------------------------------------------------------------------------------


def _ordered(placed: Sequence[Placed], depth: int) -> list[Placed]:
    """Sorted so that what shares its first `depth + 1` names stands together, and nothing before what it reads."""
    groups: dict[object, list[Placed]] = {}
    for number, one in enumerate(placed):
        inside = len(one.path) > depth + (0 if one.implied else 1)
        groups.setdefault(one.path[depth] if inside else number, []).append(one)
    if len(groups) == 1 and len(placed) == 1:
        return list(placed)
    out: list[Placed] = []
    for key in _sorted(groups):
        out += groups[key] if isinstance(key, int) else _ordered(groups[key], depth + 1)
    return out


def _sorted(groups: Mapping[object, list[Placed]]) -> Iterable[object]:
    """The groups, each behind those that it reads, else as they came."""
    home = {one.made.output: key for key, group in groups.items() for one in group}
    needs = {
        key: {home[i] for one in group for i in one.made.inputs if i in home and home[i] != key}
        for key, group in groups.items()
    }
    place = {key: number for number, key in enumerate(groups)}
    keys = list(groups)
    readers: dict[object, list[object]] = {}
    for key, read in needs.items():
        for other in read:
            readers.setdefault(other, []).append(key)
    open_needs = {key: len(read) for key, read in needs.items()}
    ready = [number for number, key in enumerate(keys) if not needs[key]]
    count = 0
    while ready:
        key = keys[heappop(ready)]
        count += 1
        yield key
        for reader in readers.get(key, ()):
            open_needs[reader] -= 1
            if not open_needs[reader]:
                heappush(ready, place[reader])
    if count < len(keys):
        raise Tangled


# --- lists -----------------------------------------------------------------------------------------------------


def filled(placed: Sequence[Placed]) -> list[Placed]:
    """With an identity for every number that a list lacks: a dropout that the file no longer has.

    Raises `Tangled` where numbers are out of order, or stand among names.
    """
    out: list[Placed] = []
    counts: dict[tuple[str, ...], int] = {}
    for one in placed:
        for path in _missing(one, counts):
            source = one.made.inputs[0]
            output = f"{source} as {'.'.join(path)}"
            out.append(Placed(Made(Identity(), (source,), output, "", {}, one.made.shape), path, False))
            inputs = tuple(output if name == source else name for name in one.made.inputs)
            one = replace(one, made=replace(one.made, inputs=inputs))
        out.append(one)
    return out


def _missing(one: Placed, counts: dict[tuple[str, ...], int]) -> list[tuple[str, ...]]:
    """The items that lists lack before this op; `counts` says how many each has, -1 where names stand."""
    missing: list[tuple[str, ...]] = []
    for depth, word in enumerate(one.path):
        scope = one.path[:depth]
        count = counts.get(scope, 0)
        if not word.isdigit():
            if count > 0:
                raise Tangled
            counts[scope] = -1
            continue
        number = int(word)
        if str(number) != word or count < 0 or not count - 1 <= number <= count + MAX_MISSING:
            raise Tangled
        missing += [(*scope, str(n)) for n in range(count, number)]
        counts[scope] = number + 1
    if one.implied and counts.setdefault(one.path, -1) > 0:
        raise Tangled
    return missing

"""Names and order of imported ops: a path in a tree of modules for each op, with the ops of a module in a row.

A file keeps the names of weights, and perhaps of modules; its node order may alternate between two modules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal, TypeAlias

from archdsl.frontends.state import ImportedOp
from archdsl.language.names import is_key, is_number

Naming: TypeAlias = Literal["exact", "joined"]
"""How paths are written: `layer1.0.conv1`, or `layer1_0_conv1` if the modules read each other in a cycle."""
NAMINGS: Sequence[Naming] = ("exact", "joined")

MAX_DEPTH = 32


class ModuleCycle(Exception):
    """The modules read each other in a cycle."""


@dataclass(frozen=True, slots=True)
class PlacedOp:
    """An op with its path. `implied`: it has no module of its own, and `path` is the module that contains it."""

    imported: ImportedOp
    path: tuple[str, ...]
    implied: bool


def arrange(ops: Sequence[ImportedOp], naming: Naming) -> list[PlacedOp]:
    """Return all ops with their paths, the ops of each module in a row. Raises `ModuleCycle`."""
    return _ordered(_named(ops, naming), 0)


# --- names -----------------------------------------------------------------------------------------------------


def _named(ops: Sequence[ImportedOp], naming: Naming) -> list[PlacedOp]:
    taken: set[tuple[str, ...]] = set()
    suffixes: Counter[str] = Counter()
    module_paths = {id(one): None if one.module is None else _module_path(one.module, naming) for one in ops}
    scopes = {path[:n] for path in module_paths.values() if path for n in range(len(path))}
    placed: list[PlacedOp] = []
    scope: tuple[str, ...] = ()
    for one in ops:
        module_path = module_paths[id(one)]
        path = scope if module_path is None else module_path
        free = bool(path) and path not in scopes and path not in taken
        if not one.op.parametric and not free:
            scope = path if path in scopes else path[:-1]
            placed.append(PlacedOp(one, scope, True))
            continue
        while not path or path in taken or path in scopes:
            suffixes[one.op.name] += 1
            path = (*path[:-1], f"{path[-1] if path else one.op.name}_{suffixes[one.op.name]}")
        taken.add(path)
        scope = path[:-1]
        placed.append(PlacedOp(one, path, False))
    return placed


def _module_path(module: str, naming: Naming) -> tuple[str, ...]:
    words = [re.sub(r"[^A-Za-z0-9_-]", "_", word) for word in module.split(".") if word][:MAX_DEPTH]
    return tuple(map(_name, ["_".join(words)] if naming == "joined" and words else words))


def _name(word: str) -> str:
    """The nearest name that a node can have: a key that starts with `_` adds nothing to a path."""
    if is_number(word) or (is_key(word) and not word.startswith("_")):
        return word
    return f"{word[:90]}_" if word[0].isalpha() else f"n{word[:90]}"


# --- order -----------------------------------------------------------------------------------------------------


def _ordered(placed: Sequence[PlacedOp], depth: int) -> list[PlacedOp]:
    """The ops sorted: those with the same first `depth + 1` names in a row, each after the ops that it reads."""
    groups: dict[object, list[PlacedOp]] = {}
    for index, one in enumerate(placed):
        inside = len(one.path) > depth + (0 if one.implied else 1)
        groups.setdefault(one.path[depth] if inside else index, []).append(one)
    if len(groups) == 1 and len(placed) == 1:
        return list(placed)
    ordered: list[PlacedOp] = []
    for key in _sorted(groups):
        ordered += groups[key] if isinstance(key, int) else _ordered(groups[key], depth + 1)
    return ordered


def _sorted(groups: Mapping[object, list[PlacedOp]]) -> Iterable[object]:
    """The keys of the groups, each after the groups that it reads, else in the order of the file."""
    group_of = {one.imported.output: key for key, group in groups.items() for one in group}
    reads = {
        key: {group_of[i] for one in group for i in one.imported.inputs if i in group_of and group_of[i] != key}
        for key, group in groups.items()
    }
    position = {key: index for index, key in enumerate(groups)}
    keys = list(groups)
    readers: dict[object, list[object]] = {}
    for key, sources in reads.items():
        for source in sources:
            readers.setdefault(source, []).append(key)
    waiting = {key: len(sources) for key, sources in reads.items()}
    ready = [index for index, key in enumerate(keys) if not reads[key]]
    count = 0
    while ready:
        key = keys[heappop(ready)]
        count += 1
        yield key
        for reader in readers.get(key, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                heappush(ready, position[reader])
    if count < len(keys):
        raise ModuleCycle

"""Names and order of imported ops: a path in a tree of modules for each op, with the ops of a module in a row.

A file keeps the names of weights, and perhaps of modules; its node order may alternate between two modules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from archdsl.frontends.state import ImportedOp
from archdsl.language.names import is_key, is_number

MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class PlacedOp:
    """An op with its path. `implied`: it has no module of its own, and `path` is the module that contains it.

    `scopes` are the paths of the modules around it that are written as such, the outermost first. The names between
    the last of them and its own are parts of a dotted name.
    """

    imported: ImportedOp
    path: tuple[str, ...]
    implied: bool
    scopes: tuple[tuple[str, ...], ...] = ()


def arrange(ops: Sequence[ImportedOp], sharing: bool) -> list[PlacedOp]:
    """Return all ops with their paths, the ops of each module in a row, after those that they read.

    Where modules read each other in a cycle, their ops get dotted names in the module around them. `sharing`: a second
    run of a module is implied; otherwise it is a module of its own.
    """
    return _ordered(_named(ops, sharing), ((),), set())


# --- names -----------------------------------------------------------------------------------------------------


def _named(ops: Sequence[ImportedOp], sharing: bool) -> list[PlacedOp]:
    taken: set[tuple[str, ...]] = set()
    first: set[Hashable] = set()
    suffixes: Counter[str] = Counter()
    paths = _paths(ops)
    scopes = {path[:n] for path in paths if path for n in range(len(path))}
    placed: list[PlacedOp] = []
    scope: tuple[str, ...] = ()
    for one, own in zip(ops, paths, strict=True):
        path = scope if own is None else own
        free = bool(path) and path not in scopes and path not in taken
        again = sharing and one.op.parametric and path in taken and one.identity in first
        if again or (not one.op.parametric and not free):
            scope = path if path in scopes else path[:-1]
            placed.append(PlacedOp(one, scope, True))
            continue
        while not path or path in taken or path in scopes:
            suffixes[one.op.name] += 1
            stem = path[-1] if path and not is_number(path[-1]) else one.op.name
            path = (*path[:-1], f"{stem}_{suffixes[one.op.name]}")
        taken.add(path)
        first.add(one.identity)
        scope = path[:-1]
        placed.append(PlacedOp(one, path, False))
    return placed


def _paths(ops: Sequence[ImportedOp]) -> list[tuple[str, ...] | None]:
    """The path of each op's module; None if it is unknown.

    A module with tensors of its own is one node. What else it computes, or modules inside it, belongs to the module
    around it: the padding of a convolution, the activation of a norm.
    """
    paths = [None if one.module is None else _module_path(one.module) for one in ops]
    owners = {path for path, one in zip(paths, ops, strict=True) if path and one.op.parametric}
    for index, (path, one) in enumerate(zip(paths, ops, strict=True)):
        depth = next((n for n in range(1, len(path or ()) + 1) if path and path[:n] in owners), 0)
        if depth and path and not one.op.parametric:
            paths[index] = path[: depth - 1]
    return paths


def _module_path(module: str) -> tuple[str, ...]:
    words = [re.sub(r"[^A-Za-z0-9_-]", "_", word) for word in module.split(".") if word][:MAX_DEPTH]
    return tuple(map(_name, words))


def _name(word: str) -> str:
    """The nearest name that a node can have: a key that starts with `_` adds nothing to a path."""
    if is_number(word) or (is_key(word) and not word.startswith("_")):
        return word
    return f"{word[:90]}_" if word[0].isalpha() else f"n{word[:90]}"


# --- order -----------------------------------------------------------------------------------------------------


def _ordered(
    placed: Sequence[PlacedOp], scopes: tuple[tuple[str, ...], ...], dissolved: set[tuple[str, ...]]
) -> list[PlacedOp]:
    """The ops of the module `scopes[-1]` sorted: those of each module inside in a row, each after those that it reads.

    Modules inside that read each other in a cycle are added to `dissolved`: what they contain is sorted in their place.
    """
    while True:
        groups: dict[object, list[PlacedOp]] = {}
        for index, one in enumerate(placed):
            inner = _inner(one, len(scopes[-1]), dissolved)
            groups.setdefault(index if inner is None else inner, []).append(one)
        order, cyclic = _sorted(groups)
        if not cyclic:
            break
        dissolved |= {key for key in cyclic if isinstance(key, tuple)}
    ordered: list[PlacedOp] = []
    for key in order:
        if isinstance(key, tuple):
            ordered += _ordered(groups[key], (*scopes, key), dissolved)
        else:
            ordered += [replace(one, scopes=scopes) for one in groups[key]]
    return ordered


def _inner(one: PlacedOp, depth: int, dissolved: set[tuple[str, ...]]) -> tuple[str, ...] | None:
    """The path of the next module around an op, below the first `depth` names; None if there is none."""
    for length in range(depth + 1, len(one.path) + (1 if one.implied else 0)):
        if one.path[:length] not in dissolved:
            return one.path[:length]
    return None


def _sorted(groups: Mapping[object, list[PlacedOp]]) -> tuple[list[object], set[object]]:
    """The keys of the groups, each after the groups that it reads, else in the order of the file; and those in cycles,
    or between two cycles, which have no place."""
    group_of = {one.imported.output: key for key, group in groups.items() for one in group}
    reads: dict[object, set[object]] = {
        key: {group_of[i] for one in group for i in one.imported.inputs if i in group_of} - {key}
        for key, group in groups.items()
    }
    readers: dict[object, set[object]] = {key: set() for key in groups}
    for key, sources in reads.items():
        for source in sources:
            readers[source].add(key)
    order = _kahn(groups, reads, readers)
    placed = set(order)
    rest = {key: None for key in groups if key not in placed}
    if not rest:
        return order, set()
    backwards = _kahn(rest, {key: readers[key] & rest.keys() for key in rest}, reads)
    return order, rest.keys() - set(backwards)


def _kahn(
    keys: Iterable[object], reads: Mapping[object, set[object]], readers: Mapping[object, set[object]]
) -> list[object]:
    """The keys, each after those that it reads, as far as there is no cycle."""
    listed = list(keys)
    position = {key: index for index, key in enumerate(listed)}
    waiting = {key: len(reads[key]) for key in listed}
    ready = [index for index, key in enumerate(listed) if not waiting[key]]
    order: list[object] = []
    while ready:
        key = listed[heappop(ready)]
        order.append(key)
        for reader in readers[key] & position.keys():
            waiting[reader] -= 1
            if not waiting[reader]:
                heappush(ready, position[reader])
    return order

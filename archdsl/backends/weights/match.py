"""Pair the tensors of a file with those of a network where their names differ: by their order, op and shapes.

A file lists modules, tensors that share all of a name but its last part. Modules of the same tensors and shapes have
the same order in the file as in the network, if the file was written from a module that declares its layers as they
run. So the k-th of a signature in the file is the k-th of that signature in the network; layers of different signatures
may be declared in any order. The layers on shortcuts are a class of their own: some declare them first, some last.

Nothing proves such a pairing but equal outputs. So it reports every group of equal modules whose order it relied on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from math import prod
from typing import TypeAlias

from archdsl.backends.weights.layout import COUNTER, PROFILER, Reading, locate
from archdsl.backends.weights.tensors import Weights
from archdsl.graph import Graph, Scope
from archdsl.shapes import format_shape

Signature: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]
_ROLES = {
    **dict.fromkeys(("weight", "kernel", "gamma", "scale", "w", "g"), "weight"),
    **dict.fromkeys(("bias", "beta", "b"), "bias"),
    **dict.fromkeys(("running_mean", "moving_mean", "mean"), "running_mean"),
    **dict.fromkeys(("running_var", "moving_variance", "moving_var", "var"), "running_var"),
}
"""What other programs call the tensors of a layer."""
_SHORTCUT = re.compile(r"downsample|shortcut|skip|proj(ection)?(\.|_|$)|residual|identity|adjust", re.IGNORECASE)
_STAGES = (
    re.compile(r"stem|patch_embed|^conv1|^bn1|^conv_stem|^features\.(conv|norm)0", re.IGNORECASE),
    re.compile(r"^(norm5|bn2|conv_head|norm_head|head|classifier|fc|last|final|logits|output)", re.IGNORECASE),
)
"""Names of first and of last layers, for files whose names are sorted."""


@dataclass(frozen=True)
class Module:
    """Tensors that share all of their names but the last part, by their role in the layer."""

    path: str
    names: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    shortcut: bool

    def signature(self, flat: bool) -> Signature:
        """Return what a layer must have to be a candidate: roles and shapes, with `flat` without the windows."""
        return tuple(sorted((role, _plain(shape, flat)) for role, shape in self.shapes.items()))


@dataclass
class Matching:
    """Pairs of the file's names and the network's.

    `equal` names are the same in both, `pairs` are (file, network) where they differ. `relied` lists the groups of
    modules with equal shapes whose order decided, `unsure` those of which the file and the network have a different
    number. `missing` tensors of the network and `unused` ones of the file have no partner. `sorted_names` is set if the
    file's names are sorted, so that its order says nothing of the layers.
    """

    prefix: str = ""
    equal: list[str] = field(default_factory=list)
    pairs: list[tuple[str, str]] = field(default_factory=list)
    relied: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    sorted_names: bool = False

    @property
    def complete(self) -> bool:
        """Whether each tensor of the network has a partner, and no number of equal modules differs."""
        return not self.missing and not self.unsure

    @property
    def rules(self) -> list[str]:
        """The pairs as rules `OLD=NEW` of `Reading.rename`."""
        return [f"{old}={new}" for old, new in self.pairs]


def match_names(weights: Weights, graph: Graph, part: str | None = None) -> Matching:
    """Pair the tensors of a file, below `part` if it is set, with those of a graph. Raises E0608 as `locate` does."""
    shapes = {tensor.key: tensor.param.shape for tensor in graph.tensors}
    optional = {t.key for t in graph.tensors if t.node.training or t.param.init.how == "data"}
    located = locate(weights, shapes, Reading(part=part), optional)
    names = {name: weights.entries[full].shape for name, full in located.names.items()}
    result = Matching(located.prefix)
    theirs, mine = _modules(names), _modules(shapes, _shortcuts(graph))
    equal = theirs.keys() & mine.keys()
    equal = {path for path in equal if theirs[path].signature(True) == mine[path].signature(True)}
    result.equal = [name for path in mine if path in equal for name in mine[path].names.values()]
    left = [module for path, module in theirs.items() if path not in equal]
    wanted = [module for path, module in mine.items() if path not in equal]
    result.sorted_names = len(left) > 2 and [m.path for m in left] == sorted(m.path for m in left)
    if result.sorted_names:
        left.sort(key=lambda module: _natural(module.path))
    for flat in (False, True):
        left, wanted = _paired(left, wanted, flat, result)
    missing = [name for module in wanted for name in module.names.values() if name not in optional]
    result.missing, result.unused = missing, [name for module in left for name in module.names.values()]
    return result


def _modules(names: Mapping[str, tuple[int, ...]], shortcuts: frozenset[str] = frozenset()) -> dict[str, Module]:
    """The modules in the order of their first tensors, without counters and what a profiler leaves behind."""
    parts: dict[str, dict[str, str]] = {}
    for name in names:
        path, _, last = name.rpartition(".")
        if last != COUNTER and last not in PROFILER:
            parts.setdefault(path if last in _ROLES else name, {})[last] = name
    modules = {}
    for path, of_module in parts.items():
        by_role = {_ROLES.get(last, "weight"): name for last, name in of_module.items()}
        shapes = {role: names[name] for role, name in by_role.items()}
        modules[path] = Module(path, by_role, shapes, path in shortcuts or _SHORTCUT.search(path) is not None)
    return modules


def _shortcuts(graph: Graph) -> frozenset[str]:
    """The paths of the nodes that are on the shortcut of a residual block."""
    found = set()
    for node in graph.nodes:
        scope: Scope | None = node.scope
        while scope is not None:
            if scope.role == "shortcut":
                found.add(node.path)
            scope = scope.parent
    return frozenset(found)


def _plain(shape: tuple[int, ...], flat: bool) -> tuple[int, ...]:
    """A shape without axes of 1, which some programs add; with `flat` as a matrix of outputs and inputs."""
    outputs, *inputs = shape or (1,)
    if flat and inputs:
        return outputs, prod(inputs)
    while inputs and inputs[-1] == 1:
        inputs.pop()
    return shape[: 1 + len(inputs)]


def _natural(path: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers by value, and the names of first and last layers first and last."""
    stage = 0 if _STAGES[0].search(path) else 2 if _STAGES[1].search(path) else 1
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d{1,9}|\D+", path)]
    return [(stage, 0, ""), *parts]


def _paired(
    left: Sequence[Module], wanted: Sequence[Module], flat: bool, result: Matching
) -> tuple[list[Module], list[Module]]:
    """Pair modules of equal signatures, and return those that have no partner."""
    used: set[str] = set()
    done: set[str] = set()
    for shortcuts, (theirs, mine) in _classes(left, wanted, flat):
        groups = [_grouped(modules, flat) for modules in (theirs, mine)]
        for signature, ours in groups[1].items():
            other = groups[0].get(signature, [])
            pairs = list(zip(other, ours, strict=False)) if len(other) == len(ours) else []
            if other and not pairs:
                pairs = _by_context(theirs, mine, signature, flat)
                result.unsure.append(f"{_text(signature)}: {len(other)} in the file, {len(ours)} in the network")
            elif len(pairs) > 1:
                place = " on shortcuts" if shortcuts else ""
                result.relied.append(f"{len(pairs)} of {_text(signature)}{place}")
            for old, new in pairs:
                used.add(old.path)
                done.add(new.path)
                result.pairs += _renamed(old, new)
    return [m for m in left if m.path not in used], [m for m in wanted if m.path not in done]


def _grouped(modules: Iterable[Module], flat: bool) -> dict[Signature, list[Module]]:
    groups: dict[Signature, list[Module]] = {}
    for module in modules:
        groups.setdefault(module.signature(flat), []).append(module)
    return groups


def _classes(
    left: Sequence[Module], wanted: Sequence[Module], flat: bool
) -> Iterator[tuple[bool, tuple[list[Module], list[Module]]]]:
    """The modules on shortcuts and the others, if both lists have equally many of each signature; else all together."""
    count = [sorted(m.signature(flat) for m in modules if m.shortcut) for modules in (left, wanted)]
    if count[0] != count[1]:
        yield False, (list(left), list(wanted))
        return
    for shortcut in (False, True):
        theirs, mine = ([m for m in modules if m.shortcut is shortcut] for modules in (left, wanted))
        yield shortcut, (theirs, mine)


def _by_context(
    theirs: Sequence[Module], mine: Sequence[Module], signature: Signature, flat: bool
) -> list[tuple[Module, Module]]:
    """Pairs of one signature where the modules before and after them are those of the network as well."""
    rows = [[m.signature(flat) for m in modules] for modules in (theirs, mine)]
    blocks = SequenceMatcher(None, rows[0], rows[1], autojunk=False).get_matching_blocks()
    pairs = [(theirs[b.a + n], mine[b.b + n]) for b in blocks for n in range(b.size)]
    return [pair for pair in pairs if pair[0].signature(flat) == signature]


def _renamed(old: Module, new: Module) -> Iterable[tuple[str, str]]:
    """One rule for a path if all last parts of the names are equal, else one for each tensor."""
    tails = [{role: name.removeprefix(m.path) for role, name in m.names.items()} for m in (old, new)]
    if tails[0] == tails[1] and all(tails[0].values()):
        return [(old.path, new.path)] if old.path != new.path else []
    return [(old.names[role], new.names[role]) for role in new.names if old.names[role] != new.names[role]]


def _text(signature: Signature) -> str:
    return ", ".join(f"{role} {format_shape(shape) or 'scalar'}" for role, shape in signature)

"""Where the tensors of a network are in a file: the prefix below which most of the network's names are.

`state_dict.module.` is the place of a mapping and the prefix of a parallel model at once: both are prefixes of full
names. So a layout needs no list of known wrappers. Every way to cut a name in two votes for its first part, if its
second part is a name of the network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypedDict

from archdsl.backends.weights.tensors import TensorEntry, Weights
from archdsl.diagnostics import ArchError, did_you_mean, error

WRAPPERS = ("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
"""Names that a wrapper around a part of a model adds in the middle of a name."""
PROFILER = ("total_ops", "total_params")
"""Names of tensors that a profiler (thop) leaves behind."""
COUNTER = "num_batches_tracked"
_AVERAGED = re.compile(r"(^|[._])(ema|swa|avg|average|averaged|shadow|teacher)([._]|$)|ema_|_ema")
_OLD_DENSENET = re.compile(r"\b(norm|relu|conv)\.(\d+)\.")


class ReadingOptions(TypedDict, total=False):
    """The fields of `Reading`, as keywords."""

    part: str | None
    rename: Sequence[str]
    ignore: Sequence[str]
    adapt_input: bool


@dataclass(frozen=True)
class Reading:
    """How to read a file of another layout.

    `part` is the place of the tensors in the file (`state_dict_ema`), if there are several. `rename` has the rules
    `a=b`: the tensor `a`, or all below the path `a`, have the name `b` in the network. `ignore` has patterns of names
    in the file that the network does not need. `adapt_input` adapts filters to another number of input channels.
    """

    part: str | None = None
    rename: Sequence[str] = ()
    ignore: Sequence[str] = ()
    adapt_input: bool = False


@dataclass
class Located:
    """The tensors of a network in a file: by the network's names, and under their full names.

    `prefix` is what precedes the names; `beside` are tensors elsewhere in the file, `dropped` those that the reader
    knows to be of no use, `ignored` those that the caller's patterns leave out.
    """

    prefix: str
    names: dict[str, str] = field(default_factory=dict)
    beside: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    averages: list[str] = field(default_factory=list)
    old_names: int = 0
    averaged: bool = False


def locate(weights: Weights, shapes: Mapping[str, tuple[int, ...]], reading: Reading) -> Located:
    """Find the tensors of a network with these names and shapes.

    Raises E0608 if several places fit equally well and `part` chooses none, or if `part` is not in the file, E0604 for
    a rule or a pattern that matches no tensor.
    """
    entries = weights.entries
    renamed = _Renaming(reading.rename, shapes)
    votes = _votes(entries, shapes, renamed, reading.part)
    averaged = {prefix: _is_average(prefix, entries) for prefix in votes}
    prefix = _chosen(votes, averaged, weights, reading.part, len(shapes))
    located = Located(prefix, averaged=averaged.get(prefix, False))
    best = votes.get(prefix, (0, 0))
    located.averages = [other for other in votes if other != prefix and averaged[other] and votes[other] >= best]
    used: set[str] = set()
    for full in entries:
        name = full[len(prefix) :]
        pattern = next((p for p in reading.ignore if fnmatchcase(name, p) or fnmatchcase(full, p)), None)
        if pattern is not None:
            used.add(pattern)
            located.ignored.append(full)
        elif not full.startswith(prefix):
            located.beside.append(full)
        elif name.rpartition(".")[2] in PROFILER and name not in shapes:
            located.dropped.append(full)
        else:
            located.old_names += renamed.is_old(name)
            located.names[renamed(name)] = full
    _check_used(reading.ignore, used, "ignore", entries)
    _check_used(reading.rename, renamed.used, "rename", entries)
    return located


class _Renaming:
    """Names of the file as those of the network: by the caller's rules, without wrappers, DenseNet's old ones."""

    def __init__(self, rules: Sequence[str], known: Collection[str]) -> None:
        self.rules: dict[str, tuple[str, str]] = {}
        for rule in rules:
            old, equals, new = (part.strip() for part in rule.partition("="))
            if not old or not equals:
                raise error("E0604", f"`{rule[:100]}` is not a rule `OLD=NEW`", status=2)
            self.rules[old.rstrip(".")] = new.rstrip("."), rule
        self.known = known
        self.used: set[str] = set()
        wrappers = [word for word in WRAPPERS if not any(word in key.split(".") for key in known)]
        self.wrapped = re.compile(rf"(?:^|(?<=\.))(?:{'|'.join(wrappers)})\.") if wrappers else None

    def __call__(self, name: str) -> str:
        parts = name.split(".")
        for end in range(len(parts), 0, -1) if self.rules else ():
            rule = self.rules.get(".".join(parts[:end]))
            if rule is not None:
                self.used.add(rule[1])
                return ".".join([part for part in (rule[0], *parts[end:]) if part])
        if name in self.known:
            return name
        plain = self.wrapped.sub("", name) if self.wrapped is not None else name
        modern = _OLD_DENSENET.sub(r"\1\2.", plain)
        return modern if modern in self.known and plain not in self.known else plain

    def is_old(self, name: str) -> bool:
        """Whether it is one of the names that torchvision's DenseNet had before torch 0.4."""
        return name not in self.known and self(name) != name and _OLD_DENSENET.search(name) is not None


def _votes(
    entries: Mapping[str, TensorEntry], shapes: Mapping[str, tuple[int, ...]], renamed: _Renaming, part: str | None
) -> dict[str, tuple[int, int]]:
    """For each prefix, the names below it that fit by name and shape, and by name."""
    votes: dict[str, tuple[int, int]] = {}
    for full, entry in entries.items():
        at = 0
        while at >= 0:
            prefix = full[:at]
            own = shapes.get(renamed(full[at:])) if _inside(prefix.removesuffix("."), part) else None
            if own is not None:
                equal, named = votes.get(prefix, (0, 0))
                votes[prefix] = equal + (own == entry.shape), named + 1
            at = full.find(".", at) + 1 or -1
    for prefix in [*votes]:  # without wrappers, names fit below each of several nested places: the innermost is it
        parts = prefix.split(".")[:-1]
        for end in range(len(parts)):
            outer = "".join(f"{part}." for part in parts[:end])
            if prefix in votes and votes.get(outer, votes[prefix]) <= votes[prefix]:
                votes.pop(outer, None)
    return votes


def _is_average(prefix: str, entries: Mapping[str, TensorEntry]) -> bool:
    """Whether a place has averaged weights, by its name or by the counter of torch's `AveragedModel` beside it."""
    place = prefix.removesuffix(".")
    outer = place.removesuffix("module")
    return _AVERAGED.search(place) is not None or (outer != place and f"{outer}n_averaged" in entries)


def _chosen(
    votes: Mapping[str, tuple[int, int]],
    averaged: Mapping[str, bool],
    weights: Weights,
    part: str | None,
    size: int,
) -> str:
    if part is not None and not any(_inside(key, part) for key in weights.entries):
        raise _no_part(part, weights.entries)
    plain = {prefix: vote for prefix, vote in votes.items() if not averaged[prefix]}
    # averaged weights are a choice of the caller, unless nothing else is nearly as complete
    pool = plain if part is None and _most_named(plain) * 2 >= _most_named(votes) else votes
    best = [prefix for prefix, vote in pool.items() if vote == max(pool.values())]
    exact = [prefix for prefix in best if part is not None and prefix.removesuffix(".") == part.rstrip(".")]
    if exact or (len(best) == 1 and 4 * _most_named(pool) >= size):  # fewer names agree by chance
        return (exact or best)[0]
    if best and 2 * _most_named(pool) >= size:
        raise _ambiguous(best)
    return fullest_place(weights, part)


def _most_named(votes: Mapping[str, tuple[int, int]]) -> int:
    return max((named for _, named in votes.values()), default=0)


def _inside(name: str, part: str | None) -> bool:
    return part is None or f"{name}.".startswith(f"{part.rstrip('.')}.")


def fullest_place(weights: Weights, part: str | None = None) -> str:
    """Return the prefix that all names share, up to a dot, in the mapping of the file with most tensors."""
    known: Mapping[str, int] = getattr(weights, "places", {"": 1})
    inside = {place: count for place, count in known.items() if _inside(place.removesuffix("."), part)}
    place = max(inside, key=lambda place: (not _is_average(place, weights.entries), inside[place]), default="")
    names = [key for key in weights.entries if key.startswith(place) and _inside(key, part)]
    if not names:
        return ""
    least, most = min(names), max(names)
    length = next((n for n, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), 0)
    return least[: least.rfind(".", 0, length) + 1]


def places(names: Collection[str]) -> list[str]:
    """Return the first parts of names, in their order: where in a file the tensors are."""
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


def _ambiguous(prefixes: Sequence[str]) -> ArchError:
    listed = ", ".join(f"`{prefix.removesuffix('.')[:80] or '(top)'}`" for prefix in prefixes[:10])
    return error(
        "E0608",
        f"the file has the weights of this network {len(prefixes)} times: {listed}",
        help=f"choose one: `--part {prefixes[-1].removesuffix('.')[:80]}`",
    )


def _no_part(part: str, entries: Mapping[str, TensorEntry]) -> ArchError:
    listed = ", ".join(f"`{place[:60]}`" for place in places(entries)[:10])
    return error("E0608", f"no tensor of the file is below `{part[:100]}`", notes=(f"its places: {listed}",))


def _check_used(rules: Sequence[str], used: Collection[str], option: str, entries: Mapping[str, TensorEntry]) -> None:
    for rule in rules:
        if rule not in used:
            near = did_you_mean(rule.partition("=")[0], entries)
            raise error("E0604", f"`{option}` `{rule[:100]}` matches no tensor of the file", help=near)


Note = Callable[[str], None]


def report(located: Located, note: Note) -> None:
    """Report where the tensors are, what else the file has, and which names differ."""
    place = located.prefix.removesuffix(".")
    if place:
        beside = f"; beside it: {_listed(places(located.beside))}" if located.beside else ""
        kind = ", which are averaged weights" if located.averaged else ""
        note(f"read the tensors below `{place[:100]}`{kind}{beside}")
    for other in located.averages[:3]:
        name = other.removesuffix(".")[:100]
        note(f"the file also has averaged weights, which were not read: `--part {name}` reads them")
    if located.old_names:
        note(f"renamed {located.old_names} tensors that have the old names of torchvision's DenseNet")
    if located.dropped:
        note(f"left out {len(located.dropped)} tensors of a profiler ({', '.join(PROFILER)})")
    if located.ignored:
        note(f"ignored {len(located.ignored)} tensors: {_listed(located.ignored)}")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name[:60] for name in names[:10])
    return shown + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")

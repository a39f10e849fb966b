"""Where the tensors of a network are in a file: the prefix below which most of the network's names are.

`state_dict.module.` is the place of a mapping and the prefix of a parallel model at once: both are prefixes of full
names. So a layout needs no list of known wrappers. Every way to cut a name in two votes for its first part, if its
second part is a name of the network.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypedDict

from archdsl.backends.weights.rules import expanded
from archdsl.backends.weights.tensors import TensorEntry, Weights
from archdsl.diagnostics import ArchError, did_you_mean, error
from archdsl.report.text import few

WRAPPERS = ("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
"""Names that a wrapper around a part of a model adds in the middle of a name."""
PROFILER = ("total_ops", "total_params")
"""Names of tensors that a profiler (thop) leaves behind."""
COUNTER = "num_batches_tracked"
LEAST_COPY = 4
"""Fewer equal names and shapes may be parts of one network."""
_AVERAGED = re.compile(r"(^|[._])(ema|swa|avg|average|averaged|shadow)([._]|$)|ema_|_ema")
_TRAINING = re.compile(
    r"(^|\.)((\w*_)?optim(?!al|um)\w*|(\w*_)?opt(_\w)?|(\w*_)?grad(ient)?s?|exp_avg(_sq)?|max_exp_avg_sq|"
    r"exp_inf|momentum_buffers?|momentum|velocity|square_avg|acc_delta)(\.|$)"
)
"""Places of tensors of an optimiser and of gradients: they have the names of the weights, but are none."""
TOP = "(top)"
"""What `inspect` and `part` call the place without a name."""
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

    `part` is the place of the tensors in the file (`state_dict_ema`), if there are several; `(top)` or an empty name is
    that of names without a prefix. `rename` has the rules `a=b`: the tensor `a`, or all below the path `a`, have the
    name `b` in the network; `@FILE` has such rules, one a line. `ignore` has patterns of names in the file that the
    network does not need. `adapt_input` adapts filters to another number of input channels.
    """

    part: str | None = None
    rename: Sequence[str] = ()
    ignore: Sequence[str] = ()
    adapt_input: bool = False

    def ignores(self, full: str, name: str) -> str | None:
        """Return the first pattern that leaves out a tensor, by its full name or by that below a prefix."""
        return next((p for p in self.ignore if fnmatchcase(name, p) or fnmatchcase(full, p)), None)


@dataclass
class Located:
    """The tensors of a network in a file: by the network's names, and under their full names.

    `prefix` is what precedes the names; `beside` are tensors elsewhere in the file, `dropped` those that the reader
    knows to be of no use, `ignored` those that the caller's patterns leave out. `others` are places of averaged
    weights and of second sets below the prefix, with what they are.
    """

    prefix: str
    names: dict[str, str] = field(default_factory=dict)
    beside: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    old_names: int = 0
    averaged: bool = False


def locate(
    weights: Weights, shapes: Mapping[str, tuple[int, ...]], reading: Reading, optional: Collection[str] = ()
) -> Located:
    """Find the tensors of a network with these names and shapes; `optional` names do not decide the place.

    A place that has the names of the network includes no second set below it: that is another place.

    Raises E0608 if several places fit equally well and `part` chooses none, if only an optimiser's tensors or gradients
    fit, or if `part` is not in the file, E0604 for a rule or a pattern that matches no tensor, or if two tensors have
    one name in the network.
    """
    entries = weights.entries
    renamed = _Renaming(expanded(reading.rename), shapes)
    needed = {name: shape for name, shape in shapes.items() if name not in optional and not name.endswith(COUNTER)}
    found = _found(entries, needed, renamed, reading)
    votes = {
        prefix: (sum(needed[name] == entries[full].shape for name, full in names.items()), len(names))
        for prefix, names in found.items()
    }
    _drop_wrappers(found, votes)
    averaged = {prefix: _is_average(prefix, entries) for prefix in votes}
    prefix = _chosen(votes, averaged, weights, reading.part, len(needed))
    located = Located(prefix, averaged=averaged.get(prefix, False))
    best = votes.get(prefix, (0, 0))
    rest = [other for other in votes if other != prefix and prefix in votes]
    second = {o for o in rest if o.startswith(prefix) and votes[o][1] * 2 >= best[1] and not _overlap(found, prefix, o)}
    if not shapes:
        second = second_sets(entries, prefix)
    averages = [o for o in rest if averaged[o] and votes[o] >= best]
    located.others = {o: _kind(o, entries) for o in dict.fromkeys([*averages, *sorted(second)])}
    used: set[str] = set()
    for full in entries:
        name = full[len(prefix) :]
        pattern = reading.ignores(full, name)
        if pattern is not None:
            used.add(pattern)
            located.ignored.append(full)
        elif not full.startswith(prefix) or (name not in shapes and not second.isdisjoint(prefixes(full))):
            located.beside.append(full)
        elif name.rpartition(".")[2] in PROFILER and name not in shapes:
            located.dropped.append(full)
        else:
            located.old_names += renamed.is_old(name)
            new = renamed(name)
            if new in located.names:
                raise _same_name(new, located.names[new], full, prefix, renamed)
            located.names[new] = full
    _check_used(reading.ignore, used, "ignore", entries)
    _check_used([text for _, text in renamed.rules.values()], renamed.used, "rename", entries)
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

    def rule(self, name: str) -> tuple[str, str, str] | None:
        """The rule for a name: what it replaces, by what, and its text."""
        parts = name.split(".")
        for end in range(len(parts), 0, -1) if self.rules else ():
            old = ".".join(parts[:end])
            if old in self.rules:
                return old, *self.rules[old]
        return None

    def __call__(self, name: str) -> str:
        if rule := self.rule(name):
            self.used.add(rule[2])
            rest = name[len(rule[0]) + 1 :]
            return ".".join([part for part in (rule[1], rest) if part])
        if name in self.known:
            return name
        plain = self.wrapped.sub("", name) if self.wrapped is not None else name
        modern = _OLD_DENSENET.sub(r"\1\2.", plain)
        return modern if modern in self.known and plain not in self.known else plain

    def is_old(self, name: str) -> bool:
        """Whether it is one of the names that torchvision's DenseNet had before torch 0.4."""
        return name not in self.known and self(name) != name and _OLD_DENSENET.search(name) is not None


def _found(
    entries: Mapping[str, TensorEntry], needed: Collection[str], renamed: _Renaming, reading: Reading
) -> dict[str, dict[str, str]]:
    """For each prefix, the full names below it by the network's names, those without a wrapper first."""
    found: dict[str, dict[str, str]] = {}
    part = None if reading.part in ("", TOP) else reading.part
    for full in entries:
        for prefix in prefixes(full):
            name = full[len(prefix) :]
            new = renamed(name) if _inside(prefix.removesuffix("."), part) else ""
            if new in needed and reading.ignores(full, name) is None:
                names = found.setdefault(prefix, {})
                if new == name or new not in names:
                    names[new] = full
    return found


def prefixes(full: str) -> Iterator[str]:
    """The first parts of a name, each with its dot, from the empty one on."""
    at = 0
    while at >= 0:
        yield full[:at]
        at = full.find(".", at) + 1 or -1


def _drop_wrappers(found: Mapping[str, Mapping[str, str]], votes: dict[str, tuple[int, int]]) -> None:
    """Without wrappers, the same tensors fit below each of several nested places: the innermost is it."""
    for prefix in [*votes]:
        parts = prefix.split(".")[:-1]
        for end in range(len(parts)):
            outer = "".join(f"{part}." for part in parts[:end])
            if outer in votes and votes[outer] <= votes.get(prefix, (0, 0)) and _overlap(found, outer, prefix):
                votes.pop(outer)


def _overlap(found: Mapping[str, Mapping[str, str]], one: str, other: str) -> bool:
    return not set(found.get(one, {}).values()).isdisjoint(found[other].values())


def _is_average(prefix: str, entries: Mapping[str, TensorEntry]) -> bool:
    """Whether a place has averaged weights, by its name or by the counter of torch's `AveragedModel` beside it."""
    place = prefix.removesuffix(".")
    outer = place.removesuffix("module")
    if _TRAINING.search(place):
        return False
    return _AVERAGED.search(place) is not None or (outer != place and f"{outer}n_averaged" in entries)


def _kind(prefix: str, entries: Mapping[str, TensorEntry]) -> str:
    if _TRAINING.search(prefix):
        return "tensors of an optimiser or gradients"
    return "averaged weights" if _is_average(prefix, entries) else "a second set of these names"


def second_sets(entries: Mapping[str, TensorEntry], prefix: str) -> set[str]:
    """Return the places below a prefix that repeat all names and shapes outside them, such as `target.`."""
    own = {name[len(prefix) :]: entry.shape for name, entry in entries.items() if name.startswith(prefix)}
    own = {name: shape for name, shape in own.items() if not name.endswith(COUNTER)}
    below = Counter(place for name in own for place in prefixes(name) if place)
    equal = Counter(
        place for name, shape in own.items() for place in prefixes(name) if own.get(name[len(place) :]) == shape
    )
    copies = {place for place, count in below.items() if equal[place] == count >= LEAST_COPY}
    first = sum(copies.isdisjoint(prefixes(name)) for name in own)
    return {prefix + place for place in copies if below[place] == first}


def _chosen(
    votes: Mapping[str, tuple[int, int]],
    averaged: Mapping[str, bool],
    weights: Weights,
    part: str | None,
    size: int,
) -> str:
    if part not in (None, "", TOP) and not any(_inside(key, part) for key in weights.entries):
        raise _no_part(part, weights.entries)
    exact = "" if part in (None, "", TOP) else f"{part.rstrip('.')}."
    if part is not None and 4 * votes.get(exact, (0, 0))[1] >= size > 0:
        return exact
    trained = {
        prefix: vote for prefix, vote in votes.items() if _TRAINING.search(exact) or not _TRAINING.search(prefix)
    }
    if 2 * _most_named(votes) >= size > 0 and 4 * _most_named(trained) < size:
        raise _of_training(_best(votes))
    plain = {prefix: vote for prefix, vote in trained.items() if not averaged[prefix]}
    # averaged weights are a choice of the caller, unless nothing else is nearly as complete
    chosen = _AVERAGED.search(exact.removesuffix("."))
    pool = plain if not chosen and _most_named(plain) * 2 >= _most_named(trained) else trained
    best: list[str] = []
    for prefix in sorted(_best(pool)):  # a place comes before those below it, and includes them
        if not best or not prefix.startswith(best[-1]):
            best.append(prefix)
    if len(best) == 1 and 4 * _most_named(pool) >= size:  # fewer names agree by chance
        around = (o for o in prefixes(best[0]) if o != best[0] and 2 * pool.get(o, (0, 0))[1] >= size)
        if outer := list(around):  # most of a first set, with a second one below it
            raise _ambiguous([*outer, *best])
        return best[0]
    if best and 2 * _most_named(pool) >= size:
        raise _ambiguous(best)
    return fullest_place(weights, part)


def _best(votes: Mapping[str, tuple[int, int]]) -> list[str]:
    most = max(votes.values(), default=(0, 0))
    return [prefix for prefix, vote in votes.items() if vote == most]


def _most_named(votes: Mapping[str, tuple[int, int]]) -> int:
    return max((named for _, named in votes.values()), default=0)


def _inside(name: str, part: str | None) -> bool:
    return part in (None, "", TOP) or f"{name}.".startswith(f"{part.rstrip('.')}.")


def fullest_place(weights: Weights, part: str | None = None) -> str:
    """Return the prefix that all names share, up to a dot, in the mapping of the file with most tensors."""
    known: Mapping[str, int] = getattr(weights, "places", {"": 1})
    inside = {place: count for place, count in known.items() if _inside(place.removesuffix("."), part)}
    place = max(
        inside,
        key=lambda place: (not _TRAINING.search(place), not _is_average(place, weights.entries), inside[place]),
        default="",
    )
    names = [key for key in weights.entries if key.startswith(place) and _inside(key, part)]
    if not names:
        return ""
    least, most = min(names), max(names)
    length = next((n for n, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), 0)
    return least[: least.rfind(".", 0, length) + 1]


def places(names: Collection[str]) -> list[str]:
    """Return the first parts of names, in their order: where in a file the tensors are."""
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


def _listed_parts(prefixes: Sequence[str]) -> tuple[str, str]:
    """The places, and the options that choose them."""
    names = [prefix.removesuffix(".")[:80] or TOP for prefix in prefixes[:10]]
    quoted = [f"'{name}'" if re.search(r"[^\w.-]", name) else name for name in names]
    return ", ".join(f"`{name}`" for name in names), " or ".join(f"`--part {name}`" for name in quoted)


def _ambiguous(prefixes: Sequence[str]) -> ArchError:
    listed, options = _listed_parts(prefixes)
    message = f"the file has the weights of this network {len(prefixes)} times: {listed}"
    return error("E0608", message, help=f"choose one: {options}")


def _of_training(prefixes: Sequence[str]) -> ArchError:
    listed, options = _listed_parts(prefixes)
    message = f"the file has tensors of this network only among those of an optimiser or gradients: {listed}"
    return error("E0608", message, help=f"these are no weights; if they are, {options} reads them")


def _same_name(new: str, one: str, other: str, prefix: str, renamed: _Renaming) -> ArchError:
    """The refusal of two tensors with one name. Its help leaves out the one that no rule renames, else the second."""
    left = next((full for full in (other, one) if full == prefix + new), other)
    rule = renamed.rule(one[len(prefix) :] if left == other else other[len(prefix) :])
    own = renamed.rule(left[len(prefix) :])
    path = own[0] if own else rule[1] if rule else new
    pattern = path if path in (new, left[len(prefix) :]) else f"{path}.*"
    return error(
        "E0604",
        f"`{one[:100]}` and `{other[:100]}` of the file would both be `{new[:100]}` of the network",
        help=f"leave one of them out, as with `--ignore '{pattern[:100]}'`",
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
        beside = f"; beside it: {few([name[:60] for name in places(located.beside)], 10)}" if located.beside else ""
        kind = ", which are averaged weights" if located.averaged else ""
        note(f"read the tensors below `{place[:100]}`{kind}{beside}")
    for other, kind in [*located.others.items()][:3]:
        name = other.removesuffix(".")[:100]
        note(f"the file also has {kind}, which were not read: `--part {name}` reads them")
    if located.old_names:
        note(f"renamed {located.old_names} tensors that have the old names of torchvision's DenseNet")
    if located.dropped:
        note(f"left out {len(located.dropped)} tensors of a profiler ({', '.join(PROFILER)})")
    if located.ignored:
        note(f"ignored {len(located.ignored)} tensors: {few([name[:60] for name in located.ignored], 10)}")

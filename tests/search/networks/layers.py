"""A spec's data taken apart: a base with something else in it, and what a variant or an extending file sets right.

What is merged over what is written down here once more: mappings by key, null removes, everything else is replaced,
blocks are known by the name in their head. A node with a head word is replaced, and so mentions every key of the old
one; without the head word it changes keys.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tests.search.networks.reference import HEADS, block_name

Data = dict[str, Any]
Way = Callable[[Any, Any], Data]
"""What merged over the first gives the second."""
JUNK: tuple[Any, ...] = (
    {"op": "relu"},
    {"op": "flatten"},
    7,
    {"op": "gap"},
    {"op": "conv", "out": 9, "kernel": 3},
    [{"op": "bn"}, {"op": "relu"}],
    {"a": {"op": "relu"}, "b": {"op": "tanh"}},
)
"""What a base may hold where the network has something else: nobody runs a base."""
MERGED = ("args", "defaults", "net", "aux", "outputs", "input")


def layered(data: Data, rng: random.Random, depth: int) -> tuple[dict[str, Data], str]:
    """The files by name, and the SPEC that means `data`."""
    files: dict[str, Data] = {}
    content, variant = _hidden({k: v for k, v in data.items() if k != "name"}, rng, depth, files)
    files["spec.yaml"] = {"name": data.get("name", "spec"), **content}
    return files, "spec.yaml" + (f"#{variant}" if variant else "")


def _hidden(data: Data, rng: random.Random, depth: int, files: dict[str, Data]) -> tuple[Data, str | None]:
    """A file that means `data`, with a variant or without."""
    if depth == 0:
        return data, None
    base = perturbed(data, rng)
    over = bare(patch(base, data), base, rng)
    content, variant = _hidden(base, rng, depth - 1, files)
    if variant is None and "variants" not in content and rng.random() < 0.5:
        return {**content, "variants": {f"v{depth}": over}}, f"v{depth}"
    name = f"base{depth}.yaml"
    files[name] = {**({"name": f"base{depth}"} if rng.random() < 0.5 else {}), **content}
    return {"extends": name + (f"#{variant}" if variant else ""), **over}, None


def bare(over: Data, base: Data, rng: random.Random) -> Data:
    """Arguments that the base has, written without `args:`."""
    names, given = base.get("args"), over.get("args")
    if not isinstance(names, dict) or not isinstance(given, dict) or rng.random() < 0.5:
        return over
    known = [name for name in given if name in names and given[name] is not None]
    rest = {name: value for name, value in over["args"].items() if name not in known}
    kept = {key: value for key, value in over.items() if key != "args"} | ({"args": rest} if rest else {})
    return {**{name: over["args"][name] for name in known}, **kept}


# --- the base -------------------------------------------------------------------------------------------------


def perturbed(data: Data, rng: random.Random) -> Data:
    """The same data with something else in a few places of its mappings, and with more or less in them."""
    base = copy.deepcopy(data)
    for _ in range(rng.randint(1, 4)):
        _change(rng.choice([base, *(m for name in MERGED for m in _mappings(base.get(name)))]), base, rng)
    if base.get("blocks") and rng.random() < 0.5:
        heads = list(base["blocks"])
        changed = rng.choice(heads)
        other = f"{block_name(changed)}(z=1)" if rng.random() < 0.5 else changed
        base["blocks"] = {other if h == changed else h: 7 if h == changed else base["blocks"][h] for h in heads}
    if rng.random() < 0.2 and "more" not in map(block_name, base.get("blocks", {})):
        base["blocks"] = {**base.get("blocks", {}), "more(w)": {"op": "conv", "out": "w", "kernel": 3}}
    return base


def _mappings(data: Any) -> list[Data]:
    """The mapping and all that are reached from it by keys alone, without those of nodes."""
    if not isinstance(data, dict):
        return []
    own = [] if any(head in data for head in HEADS) else [data]
    return [*own, *(inner for value in data.values() for inner in _mappings(value))]


def _change(place: Data, top: Data, rng: random.Random) -> None:
    keys = [key for key in place if place is not top or key in MERGED]
    way = rng.randrange(5)
    nodes = [  # without junk: a list that takes its place could not mention the keys
        key
        for key in keys
        if isinstance(place[key], dict) and {"op", "call"} & set(place[key]) and place[key] not in JUNK
    ]
    if way == 4 and nodes:
        _change_keys(place[rng.choice(nodes)], rng)
        return
    if way == 0 or not keys:
        if place is not top:
            _put(place, f"more{rng.randrange(100)}", copy.deepcopy(rng.choice(JUNK)), rng)
        return
    if way < 3:
        key = rng.choice(keys)
        if place[key] in JUNK:  # whether other junk fits depends on what was here
            return
        place[key] = copy.deepcopy(rng.choice([junk for junk in JUNK if _fits(junk, place[key], place, top)]))
        return
    del place[rng.choice(keys)]


def _fits(junk: Any, old: Any, place: Data, top: Data) -> bool:
    """Whether a plain override of the junk gives the old value: a sequence merges, or needs `do`."""
    if place is top.get("defaults"):  # a mapping there merges
        return isinstance(junk, list)
    if isinstance(old, dict) and not any(head in old for head in HEADS):
        return junk == 7 or (isinstance(junk, dict) and not any(head in junk for head in HEADS))
    return True


def _change_keys(node: Data, rng: random.Random) -> None:
    """Other keys of a node: what sets it right changes keys of a node that may be a short string."""
    rest = [key for key in node if key not in HEADS]
    if rest and rng.random() < 0.5:
        del node[rng.choice(rest)]
    else:
        node.update(rng.choice([{"when": "k > 90"}, {"repeat": 2}, {"from": "nowhere"}]))


def _put(place: Data, key: str, value: Any, rng: random.Random) -> None:
    items = list(place.items())
    items.insert(rng.randrange(len(items) + 1), (key, value))
    place.clear()
    place.update(items)


# --- what sets it right ---------------------------------------------------------------------------------------


def patch(base: Mapping[str, Any], wanted: Mapping[str, Any]) -> Data:
    """What merged over `base` gives `wanted`, both whole specs."""
    sections = {"net": patched_node, "blocks": _patched_blocks, "aux": lambda *both: by_key(*both, patched_head)}
    return by_key(base, wanted, patched_values, sections)


def patched_values(old: Data, new: Data) -> Data:
    return by_key(old, new, patched_values)


def by_key(
    base: Mapping[str, Any], wanted: Mapping[str, Any], of: Way, others: Mapping[str, Way] = MappingProxyType({})
) -> Data:
    """The keys that differ and those that say where new ones belong; `of` patches two mappings."""
    out: Data = {}
    anchors = _anchors(base, wanted)
    for key, value in wanted.items():
        old = base.get(key)
        if key in base and old == value and type(old) is type(value) and key not in anchors:
            continue
        both = isinstance(old, dict) and isinstance(value, dict)
        out[key] = others.get(key, of)(old, value) if both else value
    return out | {key: None for key in base if key not in wanted}


def patched_node(old: Data, new: Data) -> Data:
    if any(head in new for head in HEADS):
        return replacement(old, new)
    return by_key(old, new, patched_node)


def patched_head(old: Data, new: Data) -> Data:
    return by_key(old, new, patched_node)


def replacement(old: Data, new: Data) -> Data:
    """An override that makes the node `old` the node `new`: the keys that differ, or the whole node."""
    heads = [head for head in HEADS if head in new]
    if all(head in old and old[head] == new[head] for head in heads):
        nested = ("then", "shortcut", "norm", "act")
        if not any(isinstance(new.get(key), dict) and new[key] != old.get(key) for key in nested):
            return {key: None for key in old if key not in new} | {k: v for k, v in new.items() if old.get(k, ...) != v}
    out = {**{key: None for key in old if key not in new}, **new}
    for head in heads:
        if isinstance(old.get(head), dict) and isinstance(new[head], dict) and not any(h in new[head] for h in HEADS):
            out[head] = {**{key: None for key in old[head] if key not in new[head]}, **new[head]}
    return out


def _anchors(base: Mapping[str, Any], wanted: Mapping[str, Any]) -> set[str]:
    """The keys of the base beside the new ones: they are written again, and say where the new ones belong."""
    keys = list(wanted)
    new = [n for n, key in enumerate(keys) if key not in base]
    return {keys[m] for n in new for m in (n - 1, n + 1) if 0 <= m < len(keys)} & set(base)


def _patched_blocks(base: Mapping[str, Any], wanted: Mapping[str, Any]) -> Data:
    names = {block_name(head) for head in wanted}
    out: Data = {head: None for head in base if block_name(head) not in names}
    known = {block_name(head): head for head in base}
    for head, body in wanted.items():
        if head not in base or base[head] != body:
            bare = head == block_name(head) and known.get(head, head) != head  # it would keep the arguments of the base
            out[f"{head}()" if bare else head] = body
    return out


__all__ = ["layered", "patch", "perturbed"]

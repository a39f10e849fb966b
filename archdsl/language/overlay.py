"""Merges the overrides of a variant, or of a spec with `extends`, into the base: section by section, node by node."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import pairwise

from archdsl.diagnostics import ArchError, Label, Span, closest, did_you_mean, error
from archdsl.language.keys import COMMON_KEYS, COMPOSITE_KEYS, HEADS
from archdsl.language.section_models import ArgForm, Preprocess
from archdsl.language.shorthand import desugar, desugar_defaults
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Entry, Map, Scalar, Seq, Tree

_BODIES = ("do", "residual", "branches", "inception", "dense")
"""Head words whose value can be a mapping of named nodes."""


def block_name(key: str) -> str:
    """Return the name of a block signature: `up` of `up(c, s=1) <- x, skip`."""
    return key.split("(")[0].split("<-")[0].strip()


def overlay(base: Map, over: Map) -> Map:
    """Merge `over` into `base`, both whole specs. Raises E0215 and E0216."""
    absent = [name for name, entry in over.entries.items() if _is_null(entry) and name not in base.entries]
    over = Map({name: entry for name, entry in over.entries.items() if name not in absent}, over.span, over.flow)
    sections = _SECTIONS
    if "axes" in over.entries:  # the steps of the base are for inputs with other axes
        sections = {**_SECTIONS, "preprocess": lambda _, new: new}
    return _merged(base, over, lambda name, old, new: sections.get(name, _value)(old, new))


Combine = Callable[[str, Tree, Tree], Tree]
"""Merges the values of one key: (key, value of the base, value of the override)."""


def _merged(base: Map, over: Map, combine: Combine) -> Map:
    """Merge two mappings by key: null removes, new keys go last. Raises E0216 for a null that removes nothing."""
    entries = dict(base.entries)
    for name, entry in over.entries.items():
        old = entries.get(name)
        if _is_null(entry):
            _check_removed(name, entry, base.entries)
            del entries[name]
        else:
            entries[name] = entry if old is None else Entry(old.key, combine(name, old.value, entry.value))
    return Map(entries, base.span, base.flow)


def _is_null(entry: Entry) -> bool:
    return isinstance(entry.value, Scalar) and entry.value.value is None


def _check_removed(name: str, entry: Entry, names: Collection[str]) -> None:
    """Raises E0216 if the base does not have what `null` removes."""
    if name not in names:
        raise error(
            "E0216",
            f"`null` removes `{name[:60]}`, but the base has none",
            entry.key.span,
            help=did_you_mean(name, names),
        )


def _value(base: Tree, over: Tree) -> Tree:
    if isinstance(base, Map) and isinstance(over, Map):
        return _merged(base, over, lambda _, old, new: _value(old, new))
    return over


# --- sections whose order has a meaning ------------------------------------------------------------------


def _in_order(base: Map, over: Map, combine: Combine) -> Map:
    """Merge two mappings whose order has a meaning.

    A new key goes after the key that the override writes before it, or else before the next key of the base; keys go
    last if the override has no key of the base. Raises E0215 if the override has keys of the base in another order; a
    removed key only counts if a new one takes its place, or if all keys are removed.
    """
    places = {name: n for n, name in enumerate(base.entries)}
    follows = dict(pairwise(over.entries))
    kept = [
        name
        for name, entry in over.entries.items()
        if name in places and not (_is_null(entry) and follows.get(name, name) in places)
    ] or [name for name in over.entries if name in places][:1]
    for before, after in pairwise(kept):
        if places[before] > places[after]:
            raise error(
                "E0215",
                f"`{after[:60]}` comes after `{before[:60]}` here, but before it in the base",
                over.entries[after].key.span,
                labels=(
                    Label(base.entries[after].key.span, f"`{after[:60]}` in the base"),
                    Label(base.entries[before].key.span, f"`{before[:60]}` in the base"),
                ),
                help="an override cannot move nodes: write them in the order of the base, "
                "or remove one with `null` and add it under a new name",
            )
    lead: list[str] = []
    after_key: dict[str, list[str]] = {}
    new = lead
    for name in over.entries:
        if name not in places:
            new.append(name)
        elif name in kept:
            new = after_key[name] = []
    order: list[str] = []
    for name in base.entries:
        order += (*(lead if kept and name == kept[0] else ()), name, *after_key.get(name, ()))
    merged = _merged(base, over, combine).entries
    return Map({name: merged[name] for name in (*order, *lead) if name in merged}, base.span, base.flow)


def _replaced(_: str, base: Tree, over: Tree) -> Tree:
    return over


def _ordered_section(base: Tree, over: Tree) -> Tree:
    """`input` or `outputs`: mappings merge in order, the values of their keys are replaced."""
    return _in_order(base, over, _replaced) if isinstance(base, Map) and isinstance(over, Map) else over


def _aux(base: Tree, over: Tree) -> Tree:
    if not isinstance(base, Map) or not isinstance(over, Map):
        return over
    return _in_order(base, over, lambda _, old, new: _head(old, new))


def _head(base: Tree, over: Tree) -> Tree:
    if not isinstance(base, Map) or not isinstance(over, Map):
        return over
    return _merged(base, over, lambda name, old, new: _node(old, new) if name == "do" else new)


# --- sections whose values have a short form -------------------------------------------------------------


def _args(base: Tree, over: Tree) -> Tree:
    if not isinstance(base, Map) or not isinstance(over, Map):
        return over
    return _merged(base, over, lambda _, old, new: _arg(old, new))


def _arg(base: Tree, over: Tree) -> Tree:
    """A value without limits sets the default of a declaration; a declaration without a default keeps the value."""
    if isinstance(base, Map) and "default" in base.entries and not isinstance(over, Map):
        return Map({**base.entries, "default": _entry("default", over)}, base.span, base.flow)
    if isinstance(base, Scalar) and isinstance(over, Map) and {*over.entries} <= {*ArgForm.model_fields}:
        base = Map({"default": _entry("default", base)}, base.span, True)
    return _value(base, over)


def _entry(key: str, value: Tree) -> Entry:
    return Entry(Scalar(key, key, value.span), value)


def _defaults(base: Tree, over: Tree) -> Tree:
    if not isinstance(base, Map) or not isinstance(over, Map):
        return over
    return _merged(base, over, _op_defaults)


def _op_defaults(name: str, base: Tree, over: Tree) -> Tree:
    if isinstance(base, Scalar) and isinstance(over, Map) and name in OPS_BY_NAME:
        try:
            base = desugar_defaults(base, OPS_BY_NAME[name])
        except ArchError:
            return base  # its error is reported later
    return _keys(base, over) if isinstance(base, Map) and isinstance(over, Map) else over


def _paper(base: Tree, over: Tree) -> Tree:
    """A paper with a title is another paper."""
    return over if isinstance(over, Map) and "title" in over.entries else _value(base, over)


def _preprocess(base: Tree, over: Tree) -> Tree:
    """The name of a preset is short for its mean and std, which belong together: one of them replaces both."""
    if not isinstance(over, Map) or not isinstance(base, Scalar):
        return _value(base, over)
    if base.text in Preprocess.presets and not {"mean", "std"} & {*over.entries}:
        span = base.span
        values = {
            key: Seq(tuple(Scalar(number, str(number), span) for number in numbers), span, True)
            for key, numbers in Preprocess.presets[base.text].items()
        }
        base = Map({key: _entry(key, value) for key, value in values.items()}, span, True)
    return _value(base, over)


# --- nodes -----------------------------------------------------------------------------------------------


def _node(base: Tree, over: Tree) -> Tree:
    """Merge the override of a node: names add or change nodes of a sequence, keys change a node, all else replaces."""
    if isinstance(base, Map) and isinstance(over, Map) and _head_of(base) is None and _head_of(over) is None:
        return _in_order(base, over, lambda _, old, new: _node(old, new))
    return _definition(base, over)


def _definition(base: Tree, over: Tree) -> Tree:
    """Merge the override of a node that is not a sequence, or of the body of a block. Raises E0216."""
    base = _long(base)
    if isinstance(over, Map) and _head_of(over) is None:
        head = _head_of(base) if isinstance(base, Map) else None
        if isinstance(base, Map) and head is not None:
            known = _known_keys(base, head)
            other = [entry for name, entry in over.entries.items() if name not in known and name not in base.entries]
            if other:
                raise _not_a_key(base, other[0], head)
            return _keys(base, over)
        if isinstance(base, Scalar) and isinstance(base.value, str):
            return base  # its short form has an error, which is reported later
    _check_keys(base, over)
    _check_nodes(base, over)
    return _without_nulls(over) if isinstance(over, Map) else over


def _keys(base: Map, over: Map) -> Map:
    """Change the keys of a node that the override names."""
    return _merged(base, over, _key)


def _key(name: str, base: Tree, over: Tree) -> Tree:
    if name in ("then", "shortcut"):
        return _node(base, over)
    if name in ("norm", "act") and isinstance(over, Map):
        return _keys(base, over) if isinstance(base, Map) and "op" not in over.entries else _without_nulls(over)
    return over


def _head_of(tree: Map) -> str | None:
    return next((head for head in HEADS if head in tree.entries and not _is_null(tree.entries[head])), None)


def _long(tree: Tree) -> Tree:
    """The long form of a node; the node itself if its short form has an error, which is reported later."""
    if not isinstance(tree, Scalar) or not isinstance(tree.value, str):
        return tree
    try:
        return desugar(tree)
    except ArchError:
        return tree


def _known_keys(base: Map, head: str) -> Collection[str]:
    """The keys that a node with this head word can have, without the head word."""
    if head != "op":
        return [name for name in COMPOSITE_KEYS[head] if name != head]
    op = base.entries["op"].value
    fields = OPS_BY_NAME[op.text].model_fields if isinstance(op, Scalar) and op.text in OPS_BY_NAME else {}
    return [*COMMON_KEYS, *fields, "norm", "act"]


def _not_a_key(base: Map, other: Entry, head: str) -> ArchError:
    node = base.entries[head].value
    what = node.text.split("(")[0][:60] if head in ("op", "call") and isinstance(node, Scalar) else head
    known = _known_keys(base, head)
    near = did_you_mean(other.key.text, known) if closest(other.key.text, known) else f"its keys are {', '.join(known)}"
    return error(
        "E0216",
        f"`{other.key.text[:60]}` is not a key of this `{what}`",
        other.key.span,
        labels=(Label(base.span, "the node in the base"),),
        help=f"an override without a head word changes the keys of the node; {near}"
        "\nto replace the node by a sequence, write `do: {...}`",
    )


def _check_keys(base: Tree, over: Tree) -> None:
    """Raises E0216 if a whole new node does not mention a key of the one that it replaces.

    A string or a list only needs to mention what any node can have: inputs, condition and copies.
    """
    new = _long(over)
    if not isinstance(base, Map) or _head_of(base) is None or isinstance(new, Scalar):
        return
    head = _head_of(over) if isinstance(over, Map) else None
    if isinstance(over, Map) and head is not None:
        known = _known_keys(over, head)
        help_ = f"write what the new node needs, and `null` for what goes: %s; to change only keys, leave out `{head}`"
    else:
        known = ("from", "when") if "dense" in base.entries else COMMON_KEYS
        help_ = (
            "write the list as `{do: [...]}`, with what the new node needs, and `null` for what goes: %s"
            if isinstance(over, Seq)
            else "write it again if the new node needs it; to remove it, write the long form of the new node with %s"
        )
    mentioned = new.entries if isinstance(new, Map) else {}
    missing = [
        name for name in base.entries if name in known and name not in mentioned and name not in ("doc", "label")
    ]
    if missing:
        raise _incomplete("node", {name: base.entries[name].key.span for name in missing}, over, help_)


def _check_nodes(base: Tree, over: Tree) -> None:
    """Raises E0216 if a mapping of nodes does not mention a node of the list or mapping that it replaces."""
    old: Tree | None = base
    new: Tree | None = over
    what, start = "nodes", "; `{do: {...}}` replaces them all"
    if isinstance(over, Map) and (head := _head_of(over)) is not None:
        old, new = (tree.get(head) if isinstance(tree, Map) and head in _BODIES else None for tree in (base, over))
        what = f"`{head}`"
        start = f"; to change only keys, leave out `{head}`" if head in ("branches", "inception") else start
    if not isinstance(new, Map) or _head_of(new) is not None:
        return
    names: dict[str, Span] = {}
    if isinstance(old, Map) and _head_of(old) is None:
        names = {name: entry.key.span for name, entry in old.entries.items()}
    elif isinstance(old, Seq):
        names = {str(number): item.span for number, item in enumerate(old.items)}
        start += "; to replace the list, write all of it"
    if names:
        for name, entry in new.entries.items():
            if _is_null(entry):
                _check_removed(name, entry, names)
    missing = {name: span for name, span in names.items() if name not in new.entries}
    if missing:
        raise _incomplete(what, missing, new, "write each node that stays, and `null` for what goes: %s" + start)


def _incomplete(what: str, missing: Mapping[str, Span], over: Tree, help_: str) -> ArchError:
    first = [*missing][:4]
    at = next(iter(over.entries.values())).key.span if isinstance(over, Map) and over.entries else over.span
    return error(
        "E0216",
        f"this replaces the {what} of the base, and does not mention {' and '.join(f'`{n[:60]}`' for n in first)}",
        at,
        labels=tuple(Label(missing[name], "in the base") for name in first),
        help=help_ % ", ".join(f"`{name[:60]}: null`" for name in first),
    )


def _without_nulls(over: Map) -> Map:
    """A new node without the keys, and the nodes of its body, that are `null`."""
    kept = {name: entry for name, entry in over.entries.items() if not _is_null(entry)}
    for head in _BODIES:
        body = kept[head].value if head in kept else None
        if isinstance(body, Map):
            kept[head] = Entry(kept[head].key, _without_nulls(body))
    return Map(kept, over.span, over.flow)


def _blocks(base: Tree, over: Tree) -> Tree:
    """Merge blocks by name: bodies are replaced as a whole, and a name without arguments keeps the signature."""
    if not isinstance(base, Map) or not isinstance(over, Map):
        return over
    keys = {block_name(key): key for key in base.entries}
    blocks: dict[str, Entry | None] = dict(base.entries)
    for name, entry in over.entries.items():
        key = keys.pop(block_name(name), None)
        old = base.entries[key] if key is not None else None
        if _is_null(entry):
            _check_removed(block_name(name), entry, [*map(block_name, base.entries)])
            blocks[key or name] = None
        elif key is None or old is None:
            blocks[name] = entry
        else:
            body = _definition(old.value, entry.value)
            blocks[key] = Entry(old.key if name == block_name(name) else entry.key, body)
    return Map({e.key.text: e for e in blocks.values() if e is not None}, base.span, base.flow)


_SECTIONS: dict[str, Callable[[Tree, Tree], Tree]] = {
    "net": _node,
    "blocks": _blocks,
    "aux": _aux,
    "input": _ordered_section,
    "outputs": _ordered_section,
    "args": _args,
    "defaults": _defaults,
    "paper": _paper,
    "preprocess": _preprocess,
}
"""How each section merges; the others merge by key."""

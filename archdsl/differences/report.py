"""What changed between two networks, in words: the text and the JSON of `archdsl diff`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any, cast

from archdsl.analysis.parts import head
from archdsl.analysis.receptive_field import ReceptiveField
from archdsl.diagnostics import escape_control
from archdsl.differences.compare import Change, Fact, GraphDifference, Mark, PartCost
from archdsl.graph import Node
from archdsl.ops import Op
from archdsl.report.table import Style, in_bytes, in_short
from archdsl.report.words import field_text, part_written, written
from archdsl.shapes import Shape, concrete, format_shape

SIGNS: dict[Mark, str] = {"added": "+", "removed": "-", "changed": "~", "moved": ">"}
"""A change is told by its sign, and only besides by its colour."""
_WORDS = {None: "none", (): "none"}


def text(found: GraphDifference, names: tuple[str, str], settings: Sequence[Fact] = (), style: Style = Style()) -> str:
    """What is different, block by block, then in all; ends with a newline. `settings` are further facts of the
    specs."""
    title = f"{escape_control(names[0])} -> {escape_control(names[1])}"
    if found.equal and not settings:
        return f"{title}\nno difference: {len(found.after.nodes)} nodes, {found.totals[1].params:,} params\n"
    lines = [style.paint("head", title), ""]
    for change in found.changes:
        lines += _change_lines(change, "", "", style, change.exact)
    lines += _whole(found, settings, style)
    lines += ["", *_totals(found, names, style), "", *_weights(found, names, style)]
    return "\n".join(lines) + "\n"


def _change_lines(change: Change, around: str, around_before: str, style: Style, exact: bool) -> list[str]:
    """A change, its changes, those inside of it and what they cost, indented by one step for each block around it.

    Not `exact`: what is shown stands for several blocks, in which other numbers changed in the same way.
    """
    sign = style.paint(change.mark, SIGNS[change.mark])
    words = [style.paint("path", change_name(change, around, around_before)), change_words(change)]
    if not exact and any(fact.name in ("receives", "reads") for fact in change.facts):
        words.append("in the first")
    lines = [f"{sign} {'  '.join(word for word in words if word)}"]
    inside = change.side.part.path
    before = change.before.part.path if change.before is not None else inside
    for inner in change.changes:
        lines += [f"    {line}" for line in _change_lines(inner, inside, before, style, exact and inner.exact)]
    cost = costs(change) if not around else ""
    return [*lines, *([style.paint("quiet", f"    {cost}")] if cost else [])]


def change_name(change: Change, around: str = "", around_before: str = "") -> str:
    """Where it is, first to last of a run; and where it was, if that is called otherwise."""
    after = [r.after.part.path for r in change.all if r.after is not None]
    before = [r.before.part.path for r in change.all if r.before is not None]
    now, was = _span(after, around), _span(before, around_before or around)
    times = f"  x{len(change.all)}" if len(change.all) > 1 else ""
    return escape_control((f"{was} -> {now}" if now and was and now != was else now or was) + times)


def _span(paths: list[str], around: str) -> str:
    if not paths:
        return ""
    first, last = (p.removeprefix(around).lstrip("./") if p != around else p for p in (paths[0], paths[-1]))
    return first if first == last else f"{first} .. {last}"


def change_words(change: Change) -> str:
    """What the part is, and what of it changed."""
    if change.facts:
        return ", ".join(fact_words(fact, change) for fact in change.facts)
    if change.mark == "moved":
        if change.side.name.isdecimal():
            return "renumbered"
        return "renamed" if change.before is None or change.before.name != change.side.name else "moved"
    return _part(change)


def _part(change: Change) -> str:
    own = dict.fromkeys(part_written(r.side.graph, r.side.part) for r in change.all)
    if change.mark == "changed" and change.before is not None and len(own) == 1:
        was = part_written(change.before.graph, change.before.part)
        now = next(iter(own))
        return f"{was} -> {now}" if was != now and was.split("(")[0] != now.split("(")[0] else now
    return next(iter(own)) if len(own) == 1 else f"{next(iter(own)).split('(')[0]}(...)"


def fact_words(fact: Fact, change: Change) -> str:
    """`out 64 -> 128`, `+ bn`, `reads a -> b`."""
    if isinstance(fact.before, Op) or isinstance(fact.after, Op):
        return _ops(fact)
    last = next((f for f in change.all[-1].facts if f.name == fact.name), fact)
    was, now = _values(fact.before), _values(fact.after)
    if fact.name == "receives":
        more = "" if last == fact else f" .. {_values(last.before)} -> {_values(last.after)}"
        return f"receives {was} -> {now}{more} channels"
    if fact.name == "shape":
        return f"{format_shape(cast(Shape, fact.before))} -> {format_shape(cast(Shape, fact.after))}"
    if fact.name == "reads":
        return f"reads {_listed(fact.before)} -> {_listed(fact.after)}"
    return f"{fact.name} {was} -> {now}" if was != now else f"other {fact.name}"


def _ops(fact: Fact) -> str:
    was, now = (written(op) if isinstance(op, Op) else None for op in (fact.before, fact.after))
    if was is None:
        return f"+ {now}"
    return f"- {was}" if now is None else f"{was} -> {now}"


def _values(found: Any) -> str:
    if isinstance(found, tuple) and (len(found) == 1 or (len(found) == 4 and len(set(found)) == 1)):
        return _values(found[0])
    return escape_control(_WORDS[found] if found is None else field_text(found))


def _listed(value: object) -> str:
    """Paths or names separated by commas; any other value as `_values` writes it."""
    return ", ".join(map(escape_control, value)) or "none" if isinstance(value, tuple) else _values(value)


def costs(change: Change) -> str:
    """What the change costs more, or less: of all its copies together; nothing where nothing changed."""
    was, now = ([c for r in change.all if (c := r.costs[i]) is not None] for i in (0, 1))
    parts = []
    for name, get, show in _COSTS:
        old, new = sum(map(get, was)), sum(map(get, now))
        if not was or not now:
            parts += [f"{name} {show(new if now else old)}"] if new or old else []
        elif old != new:
            parts.append(f"{name} {show(old)} -> {show(new)}{percent(old, new)}")
    if was and now and was[-1].field != now[-1].field:
        parts.append(f"receptive field {_field(was[-1].field)} -> {_field(now[-1].field)}")
    elif not (was and now) and (was or now)[-1].field is not None:
        parts.append(f"receptive field {_field((was or now)[-1].field)}")
    return ", ".join(parts)


_COSTS: tuple[tuple[str, Callable[[PartCost], int], Callable[[int], str]], ...] = (
    ("params", lambda cost: cost.params, lambda number: f"{number:,}"),
    ("MACs", lambda cost: cost.macs, lambda number: in_short(number).strip()),
    ("memory", lambda cost: cost.memory_bytes, in_bytes),
)


def percent(old: int, new: int) -> str:
    """` (+3.4 %)`; nothing where there was nothing."""
    return f" ({100 * (new - old) / old:+.1f} %)" if old else ""


def _field(field: ReceptiveField | None) -> str:
    if field is None:
        return "all"
    return str(field.height) if field.height == field.width else f"{field.height} x {field.width}"


# --- the whole ------------------------------------------------------------------------------------------------


def _whole(found: GraphDifference, settings: Sequence[Fact], style: Style) -> list[str]:
    lines = []
    for fact in (*found.facts, *settings):
        was, now = _listed(fact.before), _listed(fact.after)
        lines.append(f"{style.paint('changed', '~')} {style.paint('path', fact.name)}  {was} -> {now}")
    if found.resized:
        a, b = found.resized[0]
        lines.append(style.paint("quiet", f"  {len(found.resized)} nodes differ in height and width: {_sizes(a, b)}"))
    return lines


def _sizes(a: Node, b: Node) -> str:
    was, now = (" x ".join(map(str, concrete(n.shape)[1:])) for n in (a, b))
    return f"{escape_control(b.path)} {was} -> {now}, and so on"


def _totals(found: GraphDifference, names: tuple[str, str], style: Style) -> list[str]:
    a, b = found.totals
    counts = [
        ("params", a.params, b.params, False),
        ("in training only", a.aux_params, b.aux_params, False),
        ("MACs", a.macs, b.macs, False),
        ("peak memory", a.peak_memory_bytes, b.peak_memory_bytes, True),
        ("weights on disk", a.weight_bytes, b.weight_bytes, True),
        ("depth", a.depth, b.depth, False),
        ("nodes", len(found.before.nodes), len(found.after.nodes), False),
    ]
    rows = [["", *map(escape_control, names), ""]]
    for name, was, now, is_bytes in counts:
        if was or now:
            show = in_bytes if is_bytes else "{:,}".format
            rows.append(
                [
                    name,
                    show(was),
                    show(now),
                    "the same"
                    if was == now
                    else f"{now - was:+,}{percent(was, now)}"
                    if not is_bytes
                    else percent(was, now).strip(" ()"),
                ]
            )
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(row[n].rjust(widths[n]) for n in (1, 2, 3))]).rstrip() for row in rows
    ]
    return [style.paint("head", lines[0]), *lines[1:], f"{found.same} of {len(found.after.nodes)} nodes are the same."]


def _weights(found: GraphDifference, names: tuple[str, str], style: Style) -> list[str]:
    weights = found.weights
    if not weights.all.tensors:
        return ["No weights."]
    whole = weights.all
    share = 100 * weights.fit.numbers / max(whole.numbers, 1)
    told = [
        f"Weights of {names[0]} carry over to {names[1]}, by name and shape: {weights.fit.tensors} of {whole.tensors} "
        f"tensors, {weights.fit.numbers:,} of {whole.numbers:,} numbers ({share:.1f} %)."
    ]
    others = [(weights.renamed, "under another name"), (weights.reshaped, "of another shape"), (weights.new, "new")]
    rest = [f"{c.tensors} {what} ({c.numbers:,} numbers)" for c, what in others if c.tensors]
    if rest:
        told.append(f"Of the rest: {', '.join(rest)}.")
    if weights.strangers.tensors:
        told.append(
            f"Careful: {weights.strangers.tensors} of those that fit ({weights.strangers.numbers:,} numbers) belong "
            "to another node there."
        )
    width = style.width or 100
    return [
        line for sentence in told for line in textwrap.wrap(escape_control(sentence), width, break_on_hyphens=False)
    ]


# --- JSON -----------------------------------------------------------------------------------------------------


def as_json(found: GraphDifference, names: tuple[str, str], settings: Sequence[Fact] = ()) -> dict[str, Any]:
    """The contract of `archdsl diff --format json`. Every change is listed; costs are sums over its paths."""
    return {
        "before": {"name": names[0], **found.totals[0]._asdict(), "nodes": len(found.before.nodes)},
        "after": {"name": names[1], **found.totals[1]._asdict(), "nodes": len(found.after.nodes)},
        "equal": found.equal and not settings,
        "same_nodes": found.same,
        "resized_nodes": len(found.resized),
        "changes": [_change_data(change) for change in found.changes],
        "whole": [_fact_data(fact) for fact in (*found.facts, *settings)],
        "weights": {name: carried._asdict() for name, carried in found.weights._asdict().items()},
    }


def _change_data(change: Change) -> dict[str, Any]:
    costs_ = [[c for r in change.all if (c := r.costs[i]) is not None] for i in (0, 1)]
    return {
        "change": change.mark,
        "before": [r.before.part.path for r in change.all if r.before is not None],
        "after": [r.after.part.path for r in change.all if r.after is not None],
        "what": _part(change),
        "op": head(change.side.graph, change.side.part).op.name if change.side.leaf else None,
        "facts": [_fact_data(fact) for fact in change.facts],
        **{name: _sums(costs_, name) for name in ("params", "macs", "memory_bytes")},
        "receptive_field": [
            None if not found or found[-1].field is None else list(found[-1].field) for found in costs_
        ],
        "inside": [_change_data(inner) for inner in change.changes],
    }


def _sums(found: list[list[PartCost]], name: str) -> list[int | None]:
    return [sum(getattr(cost, name) for cost in side) if side else None for side in found]


def _fact_data(fact: Fact) -> dict[str, Any]:
    return {"name": fact.name, "before": _plain(fact.before), "after": _plain(fact.after)}


def _plain(found: Any) -> Any:
    if isinstance(found, Op):
        return written(found)
    return [_plain(item) for item in found] if isinstance(found, tuple) else found

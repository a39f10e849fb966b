"""The text and the JSON data of `archdsl diff`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any, cast

from archdsl.analysis.parts import Part, head
from archdsl.analysis.receptive_field import format_field
from archdsl.axes import kind_of, listed
from archdsl.diagnostics import escape_control
from archdsl.differences.compare import Change, Fact, GraphDifference, Mark, PartCost
from archdsl.graph import Node
from archdsl.ops import Op
from archdsl.report.table import Style, in_bytes, in_short
from archdsl.report.words import part_written, sizes_text, value_text, written
from archdsl.shapes import Shape, concrete, format_shape

SIGNS: dict[Mark, str] = {"added": "+", "removed": "-", "changed": "~", "moved": ">"}
"""Each change has a sign; the colour is an addition."""
_WORDS = {None: "none", (): "none"}
_MOST_SPANS = 4


def text(
    difference: GraphDifference, names: tuple[str, str], settings: Sequence[Fact] = (), style: Style = Style()
) -> str:
    """Return the changes block by block, then totals and weights; ends with a newline.

    `settings` are further differences of the specs.
    """
    title = f"{escape_control(names[0])} -> {escape_control(names[1])}"
    if difference.equal and not settings:
        return f"{title}\nno difference: {len(difference.after.nodes)} nodes, {difference.totals[1].params:,} params\n"
    lines = [style.paint("head", title), ""]
    for change in difference.changes:
        lines += _change_lines(change, "", "", style, change.exact)
    lines += _whole(difference, settings, style)
    lines += ["", *_totals(difference, names, style), "", *_weights(difference, names, style)]
    return "\n".join(lines) + "\n"


def _change_lines(change: Change, around: str, around_before: str, style: Style, exact: bool) -> list[str]:
    """The lines of a change, of the changes inside it and of their costs, indented by the number of blocks around it.

    If not `exact`, the line stands for several blocks whose `receives` or `reads` differ.
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
    """The path of the part, or the first and last path of several; with the old path if that differs."""
    after = [r.after.part for r in change.all if r.after is not None]
    before = [r.before.part for r in change.all if r.before is not None]
    now, was = _span(after, around), _span(before, around_before or around)
    times = f"  x{len(change.all)}" if len(change.all) > 1 else ""
    return escape_control((f"{was} -> {now}" if now and was and now != was else now or was) + times)


def _span(parts: Sequence[Part], around: str) -> str:
    """The paths of parts: `a .. c` only for neighbours, `a .. c, e` with a part between, `a, c, ..., k` for many."""
    runs: list[list[str]] = []
    for n, part in enumerate(parts):
        path = part.path.removeprefix(around).lstrip("./") if part.path != around else part.path
        if n and parts[n - 1].ids.stop == part.ids.start:
            runs[-1].append(path)
        else:
            runs.append([path])
    spans = [run[0] if run[0] == run[-1] else f"{run[0]} .. {run[-1]}" for run in runs]
    return ", ".join(spans if len(spans) <= _MOST_SPANS else [*spans[: _MOST_SPANS - 2], "...", spans[-1]])


def change_words(change: Change) -> str:
    """What changed in the part; for a part that was added or removed, what it is."""
    if change.facts:
        return ", ".join(fact_words(fact, change) for fact in change.facts)
    if change.mark == "moved":
        if change.side.name.isdecimal():
            return "renumbered"
        return "renamed" if change.before is None or change.before.name != change.side.name else "moved"
    words = _part(change)
    return words if words != change.side.part.path.replace("/", ".").rpartition(".")[2] else ""


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
    was, now = _both(fact)
    if fact.name == "receives":
        more = "" if last == fact else f" .. {' -> '.join(_both(last))}"
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


def _both(fact: Fact) -> tuple[str, str]:
    """Both values as text. A window has all its sizes if they, or their numbers, differ: `3x3 -> 3x3x3`."""
    values = fact.before, fact.after
    if fact.name == "kernel":
        windows = [value for value in values if isinstance(value, tuple)]
        if any(len(set(window)) > 1 or len(window) != len(windows[0]) for window in windows):
            return _window(fact.before), _window(fact.after)
    return _values(fact.before, fact.name), _values(fact.after, fact.name)


def _window(value: Any) -> str:
    return sizes_text(value) if isinstance(value, tuple) else _values(value)


def _values(value: Any, name: str = "") -> str:
    """The value of a field or fact; equal numbers, of axes, sides or inputs, are one."""
    if isinstance(value, tuple) and len(set(value)) == 1 and isinstance(value[0], int):
        value = value[0]
    return escape_control(_WORDS[value] if value is None else value_text(name.rpartition(" ")[2], value))


def _listed(value: object) -> str:
    """Paths or names separated by commas; any other value as in `_values`."""
    return ", ".join(map(escape_control, value)) or "none" if isinstance(value, tuple) else _values(value)


def costs(change: Change) -> str:
    """The change in costs of all its copies together; empty if they cost the same."""
    was, now = ([c for r in change.all if (c := r.costs[i]) is not None] for i in (0, 1))
    parts = []
    for name, get, show in _COSTS:
        old, new = sum(map(get, was)), sum(map(get, now))
        if not was or not now:
            parts += [f"{name} {show(new if now else old)}"] if new or old else []
        elif old != new:
            parts.append(f"{name} {show(old)} -> {show(new)}{percent(old, new)}")
    if was and now:
        before, after = format_field(was[-1].field), format_field(now[-1].field)
        parts += [f"receptive field {before} -> {after}"] if before != after else []
    elif (was or now)[-1].field is not None:
        parts.append(f"receptive field {format_field((was or now)[-1].field)}")
    return ", ".join(parts)


_COSTS: tuple[tuple[str, Callable[[PartCost], int], Callable[[int], str]], ...] = (
    ("params", lambda cost: cost.params, lambda number: f"{number:,}"),
    ("MACs", lambda cost: cost.macs, lambda number: in_short(number).strip()),
    ("memory", lambda cost: cost.memory_bytes, in_bytes),
)


def percent(old: int, new: int) -> str:
    """The relative change, as in ` (+3.4 %)`; empty if `old` is 0."""
    return f" ({100 * (new - old) / old:+.1f} %)" if old else ""


# --- the whole ------------------------------------------------------------------------------------------------


def _whole(difference: GraphDifference, settings: Sequence[Fact], style: Style) -> list[str]:
    lines = []
    for fact in (*difference.facts, *settings):
        lines.append(f"{style.paint('changed', '~')} {style.paint('path', fact.name)}  {whole_words(fact)}")
    if difference.resized:
        a, b = difference.resized[0]
        count = len(difference.resized)
        lines.append(style.paint("quiet", f"  {count} nodes differ only in {_axes(difference)}: {_sizes(a, b)}"))
    return lines


def whole_words(fact: Fact) -> str:
    """The values of a difference of the whole network: `output: fc -> output: head`."""
    return f"{_listed(fact.before)} -> {_listed(fact.after)}"


def _axes(difference: GraphDifference) -> str:
    """The sizes in which nodes differ: `height and width`, `length`; of tensors with different axes, `size`."""
    kinds = {kind_of(node.shape) for pair in difference.resized for node in pair}
    return listed(kinds.pop().sizes) if len(kinds) == 1 else "size"


def _sizes(a: Node, b: Node) -> str:
    was, now = (" x ".join(map(str, concrete(n.shape)[1:])) for n in (a, b))
    return f"{escape_control(b.path)} {was} -> {now}, ..."


def _totals(difference: GraphDifference, names: tuple[str, str], style: Style) -> list[str]:
    a, b = difference.totals
    counts = [
        ("params", a.params, b.params, False),
        ("in training only", a.aux_params, b.aux_params, False),
        ("MACs", a.macs, b.macs, False),
        ("peak memory", a.peak_memory_bytes, b.peak_memory_bytes, True),
        ("weights on disk", a.weight_bytes, b.weight_bytes, True),
        ("depth", a.depth, b.depth, False),
        ("nodes", len(difference.before.nodes), len(difference.after.nodes), False),
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
    same = f"{difference.same} of {len(difference.after.nodes)} nodes are the same."
    return [style.paint("head", lines[0]), *lines[1:], same]


def _weights(difference: GraphDifference, names: tuple[str, str], style: Style) -> list[str]:
    weights = difference.weights
    if not weights.all.tensors:
        return ["No weights."]
    whole = weights.all
    share = 100 * weights.fit.values / max(whole.values, 1)
    sentences = [
        f"Weights of {names[0]} fit {names[1]} by name and shape: {weights.fit.tensors} of {whole.tensors} "
        f"tensors, {weights.fit.values:,} of {whole.values:,} values ({share:.1f} %)."
    ]
    others = [(weights.renamed, "renamed"), (weights.reshaped, "with another shape"), (weights.new, "new")]
    rest = [f"{c.tensors} {what} ({c.values:,} values)" for c, what in others if c.tensors]
    if rest:
        sentences.append(f"Other tensors: {', '.join(rest)}.")
    if weights.unrelated.tensors:
        sentences.append(
            f"Warning: {weights.unrelated.tensors} of the tensors that fit ({weights.unrelated.values:,} values) "
            f"belong to a different node in {names[0]}."
        )
    width = style.width or 100
    return [
        line
        for sentence in sentences
        for line in textwrap.wrap(escape_control(sentence), width, break_on_hyphens=False)
    ]


# --- JSON -----------------------------------------------------------------------------------------------------


def as_json(difference: GraphDifference, names: tuple[str, str], settings: Sequence[Fact] = ()) -> dict[str, Any]:
    """Return the data of `archdsl diff --format json`. Costs of a change are sums over its paths."""
    return {
        "before": {"name": names[0], **difference.totals[0]._asdict(), "nodes": len(difference.before.nodes)},
        "after": {"name": names[1], **difference.totals[1]._asdict(), "nodes": len(difference.after.nodes)},
        "equal": difference.equal and not settings,
        "same_nodes": difference.same,
        "resized_nodes": len(difference.resized),
        "changes": [_change_data(change) for change in difference.changes],
        "whole": [_fact_data(fact) for fact in (*difference.facts, *settings)],
        "weights": {name: tensors._asdict() for name, tensors in difference.weights._asdict().items()},
    }


def _change_data(change: Change) -> dict[str, Any]:
    both = [[c for r in change.all if (c := r.costs[i]) is not None] for i in (0, 1)]
    return {
        "change": change.mark,
        "before": [r.before.part.path for r in change.all if r.before is not None],
        "after": [r.after.part.path for r in change.all if r.after is not None],
        "what": _part(change),
        "op": head(change.side.graph, change.side.part).op.name if change.side.leaf else None,
        "facts": [_fact_data(fact) for fact in change.facts],
        **{name: _sums(both, name) for name in ("params", "macs", "memory_bytes")},
        "receptive_field": [None if not costs or costs[-1].field is None else list(costs[-1].field) for costs in both],
        "inside": [_change_data(inner) for inner in change.changes],
    }


def _sums(both: list[list[PartCost]], name: str) -> list[int | None]:
    return [sum(getattr(cost, name) for cost in costs) if costs else None for costs in both]


def _fact_data(fact: Fact) -> dict[str, Any]:
    return {"name": fact.name, "before": _plain(fact.before), "after": _plain(fact.after)}


def _plain(value: Any) -> Any:
    if isinstance(value, Op):
        return written(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value

"""The drawing of a network as DOT, and as SVG or PNG.

Whatever a spec names reaches DOT only through `quote`; node names are `n0`, `n1`, ..., and nothing carries a URL.
"""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import NamedTuple

from archdsl.diagnostics import error, escape_control
from archdsl.graph import Graph
from archdsl.passes.count import Totals, count
from archdsl.views.drawing import COARSE, Arrow, Box, Drawing, Frame, compose
from archdsl.views.engine import TIME_LIMIT_S, Format, TooSlow, render
from archdsl.views.table import in_short
from archdsl.views.theme import LIGHT, LOOK_WORDS, Look
from archdsl.views.words import TIMES

MAX_BOXES = 800
"""A drawing of more boxes is not attempted: nobody could read it."""


_HEAD = """\
digraph network {
  graph [newrank=true, fontname="Helvetica", fontsize=11, labelloc=t, nodesep=0.25, ranksep=0.14, pad=0.12, bgcolor="#FFFFFF"]
  node [fontname="Helvetica", fontsize=11, shape=box, style="rounded,filled", height=0.26, margin="0.11,0.03", penwidth=1.1]
  edge [fontname="Helvetica", fontsize=8.5, fontcolor="#555555", color="#444444", arrowsize=0.55, penwidth=0.9]
"""


class Diagram(NamedTuple):
    """A finished drawing, and what had to be left out of it (empty: nothing)."""

    data: bytes
    note: str


def quote(text: str) -> str:
    """Any text as the inside of an HTML-like DOT label: markup, quotes, backslashes and control characters harmless."""
    return escape(escape_control(text)).replace("\\", "&#92;")


def diagram(graph: Graph, format: Format = "svg", depth: int = 1, legend: bool = False,
            time_limit_s: float = TIME_LIMIT_S) -> Diagram:  # fmt: skip
    """A network drawn: `svg` (text), `png`, or the `dot` text itself.

    `depth` says how many levels of blocks are opened: 1 draws one box for each outermost block, 2 shows what is in
    them; 0 one box for each member of the net. What is too large, or cannot be laid out in `time_limit_s` seconds, is
    folded further, and `note` says so. Raises E0711 (status 2) where nothing here can draw, E0712 (status 2) where even
    the simplest drawing takes too long.
    """
    for level in sorted({depth, *(d for d in (1, 0, COARSE) if d < depth)}, reverse=True):
        drawing = compose_graph(graph, level)
        if level > COARSE and sum(1 for _ in drawing.boxes()) > MAX_BOXES:
            continue
        try:
            data = render(to_dot(graph, drawing, legend, page=level <= 1), format, time_limit_s)
        except TooSlow:
            continue
        shown = "by stages" if level == COARSE else f"at depth {level}"
        return Diagram(data, "" if level == depth else f"too large to draw at depth {depth}: drawn {shown}")
    raise error("E0712", f"`{graph.name}` cannot be laid out in {time_limit_s:g} s", status=2,
                help="`--format dot` writes the drawing as text")  # fmt: skip


def compose_graph(graph: Graph, depth: int = 1) -> Drawing:
    """The boxes, frames and arrows of a network."""
    from archdsl.passes.structure import signatures

    return compose(graph, signatures(graph, fields=False), depth)


def dot(graph: Graph, depth: int = 1, legend: bool = False) -> str:
    """The DOT text of a network's drawing."""
    return to_dot(graph, compose_graph(graph, depth), legend, page=depth <= 1)


def to_dot(graph: Graph, drawing: Drawing, legend: bool = False, page: bool = False) -> str:
    """DOT text, the same for the same drawing on every machine. With `page` it fits a sheet of A4."""
    lines = [_HEAD + ('  graph [size="7.6,11"]\n' if page else "") + f"  label=<{_title(graph, count(graph), _legend(drawing) if legend else '')}>"]
    lines += _members(drawing.members)
    lines += [_arrow(arrow, weight) for arrow, weight in zip(drawing.arrows, _weights(drawing), strict=True)]
    return "\n".join([*lines, "}", ""])


# --- pieces ----------------------------------------------------------------------------------------------


def _title(graph: Graph, totals: Totals, legend: str) -> str:
    facts = [f"input {graph.input_spec.replace('x', f' {TIMES} ')}" if len(graph.inputs) == 1 else ""]
    facts += [f"{in_short(totals.params).rstrip()} params", f"{in_short(totals.macs)}MACs", f"{totals.depth} layers deep"]
    rows = [f'<b><font point-size="16">{quote(graph.name)}</font></b>', _small(" · ".join(filter(None, facts)), 10), legend]
    return _table([[row] for row in rows if row])


def _members(members: list[Box | Frame]) -> list[str]:
    """Boxes and frames as statements; frames as nested clusters."""
    lines: list[str] = []
    clusters = 0
    pending: list[tuple[Box | Frame | None, int]] = [(m, 1) for m in reversed(members)]
    while pending:
        member, level = pending.pop()
        pad = "  " * level
        if member is None:
            lines.append(f"{pad}}}")
        elif isinstance(member, Box):
            lines.append(pad + _box(member))
        else:
            lines.append(f"{pad}subgraph cluster_{clusters} {{ {_frame(member)}")
            clusters += 1
            pending.append((None, level))
            pending += [(m, level + 1) for m in reversed(member.members)]
    return lines


def _frame(frame: Frame) -> str:
    """A frame's attributes. A block's title stands below, as on the plates of graphical models: arrows come from above."""
    name = frame.name + (f"  {TIMES}\u00a0{frame.copies}" if frame.copies > 1 else "")
    lines = '<br align="left"/>'.join(quote(line) for line in (name, frame.title) if line)
    text = f'<font point-size="8.5" color="{LIGHT.quiet}">{lines}<br align="left"/></font>'
    width = int(4.6 * max(len(name), len(frame.title)))
    blank = f'<td width="{width}"></td>'
    label = f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="0"><tr><td>{text}</td>{blank}</tr></table>>'
    if frame.stage:
        look = 'labelloc=t, fillcolor="#F4F4F4", color="#F4F4F4", style="rounded,filled"'
    else:
        style = "rounded,filled,dashed" if frame.training else "rounded,filled"
        look = f'labelloc=b, fillcolor="#FFFFFF", color="{LIGHT.colors["block"].line}", style="{style}"'
    return f"graph [label={label}, labeljust=l, {look}, penwidth=1.0, margin=6]"


def _box(box: Box) -> str:
    color = LIGHT.colors[box.look]
    style = f'fillcolor="{color.fill}", color="{color.line}"'
    if box.look == "output":
        style = 'shape=plaintext, style="", height=0.2, margin="0.05,0.02"'
    elif box.sign:
        style += ", shape=circle, fixedsize=true, width=0.26, height=0.26, margin=0"
    elif box.training:
        style += ', style="rounded,filled,dashed"'
    return f"n{box.number} [label=<{_label(box)}>, {style}]"


def _label(box: Box) -> str:
    """A block: its title above its path. A node: its op, how often it comes, what follows in it."""
    title, count = quote(box.title), f"{TIMES}\u00a0{box.copies}" if box.copies > 1 else ""
    if box.sign:
        return f"<b>{title}</b>"
    if box.look == "block":
        below = "   ".join(filter(None, [box.name, box.tail]))
        return f"<b>{title}{'   ' if count else ''}{count}</b>" + (f"<br/>{_small(below, 9)}" if below else "")
    cells = [title]
    cells += ["", count] if count else []
    cells += ["", _small(box.tail, 11)] if box.tail else []
    return title if len(cells) == 1 else _table([cells])


def _table(rows: list[list[str]]) -> str:
    """Lines of cells, each centred on its own, which a single line of several fonts would not be. Empty: a gap."""
    lines = "".join("<tr>" + "".join(f"<td>{c}</td>" if c else '<td width="7"></td>' for c in cells) + "</tr>" for cells in rows)
    return f'<table border="0" cellborder="0" cellspacing="0" cellpadding="0">{lines}</table>'


def _small(text: str, size: int) -> str:
    return f'<font point-size="{size}" color="{LIGHT.quiet}">{quote(text)}</font>'


def _arrow(arrow: Arrow, weight: int) -> str:
    fields = [f"label=<&#160;{quote(arrow.label)}>"] if arrow.label else []
    fields += [f"weight={weight}"] if weight != 1 else []
    fields += ["style=dashed"] if arrow.training else []
    return f"  n{arrow.source} -> n{arrow.target}" + (f" [{', '.join(fields)}]" if fields else "")


def _weights(drawing: Drawing) -> list[int]:
    """How much each arrow wants to be short and straight.

    The trunk, the longest way through a chain of stages, runs straight down, and shortcuts go around it; branches begin
    at the top. Where the way parts in more than two there is no trunk; nor in an encoder and decoder, which is left to
    fall into its U.
    """
    if not any(isinstance(member, Frame) and member.stage for member in drawing.members):
        return [1] * len(drawing.arrows)
    leaving = Counter(arrow.source for arrow in drawing.arrows if not arrow.training)
    entering = Counter(arrow.target for arrow in drawing.arrows)
    depth: dict[int, int] = {}
    straight: dict[int, Arrow] = {}
    for arrow in drawing.arrows:
        reached = depth.get(arrow.source, 0) + 1
        if reached > depth.get(arrow.target, 0):
            depth[arrow.target] = reached
            straight[arrow.target] = arrow
    trunk: dict[int, Arrow] = {}
    for arrow in straight.values():
        if leaving[arrow.source] <= 2 and entering[arrow.target] <= 2 and not arrow.training:
            trunk.setdefault(arrow.source, arrow)
    return [
        8 if trunk.get(arrow.source) is arrow else 2 if leaving[arrow.source] > 1 and entering[arrow.target] == 1 else 1
        for arrow in drawing.arrows
    ]


def _legend(drawing: Drawing) -> str:
    """One line of coloured cells for the kinds that occur."""
    used = {box.look for box in drawing.boxes()}
    cells = "".join(_legend_cell(look, text) for look, text in LOOK_WORDS.items() if look in used)
    return f'<table border="0" cellborder="1" cellspacing="4" cellpadding="3"><tr>{cells}</tr></table>'


def _legend_cell(look: Look, text: str) -> str:
    color = LIGHT.colors[look]
    return f'<td bgcolor="{color.fill}" color="{color.line}" style="rounded"><font point-size="9">{quote(text)}</font></td>'

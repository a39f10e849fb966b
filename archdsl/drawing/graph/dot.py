"""A drawing as DOT: the input of Graphviz, and an output format.

Every text of a spec is quoted by `quote`. Nodes are `n0`, `n1`, ..., and there are no URLs. Every box and label has an
explicit size, so the layout does not depend on the fonts of the machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from html import escape
from itertools import pairwise

from archdsl.drawing.graph.labels import GAP, Content, TextLine, arrow_content, content, frame_content, head_content
from archdsl.drawing.heat import HeatScale, scale
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import Arrow, Box, Drawing, Frame
from archdsl.drawing.request import Diagram, Options, Request
from archdsl.drawing.theme import LIGHT, THEMES, Theme
from archdsl.ops import Slice
from archdsl.report.text import visible

_HEAD = """\
digraph network {{
  graph [newrank=true, rankdir={direction}, fontname="Helvetica", labelloc=t, nodesep={beside}, ranksep={between}, \
pad=0.1, bgcolor="{background}"]
  node [fontname="Helvetica", fontsize=11, shape=box, style="rounded,filled", fixedsize={fixed}, penwidth=1.1]
  edge [fontname="Helvetica", fontsize=8.5, color="{arrow}", arrowsize=0.55, penwidth=0.9]
"""


_TITLE_SAVED = 7.0
_TRUNK = 2000


def write(request: Request) -> Diagram:
    """Write the DOT text of a drawing, with its heading."""
    drawing = compose(request.graph, request.view)
    return Diagram(to_dot(drawing, request.options, whole=True).encode())


def to_dot(
    drawing: Drawing,
    options: Options = Options(),
    whole: bool = False,
    longer: Collection[int] = (),
    roomy: Collection[int] = (),
) -> str:
    """Return the DOT text of a drawing: boxes are nodes `n0`, `n1`, ..., frames are clusters in their order.

    The text contains the words of the drawing only if `whole`. The layout for SVG and TikZ needs only their sizes,
    and has room for labels: along the arrow of each box in `longer`, and beside each box in `roomy`.
    """
    theme = THEMES.get(options.theme, LIGHT)
    text = _HEAD.format(
        direction=options.direction,
        beside=0.34 if options.direction == "LR" else 0.25,
        between=_between(drawing, options, whole),
        fixed=str(not whole).lower(),
        background=theme.background,
        arrow=theme.arrow,
    )
    if whole and (lines := head_content(drawing, options.title)):
        text += f"  label=<{_rows(lines, theme)}>\n"
    rows = _members(drawing, options, whole, roomy)
    weights = _weights(drawing)
    rows += [
        _arrow(arrow, weight, options, theme, whole, arrow.source in longer)
        for arrow, weight in sorted(zip(drawing.arrows, weights, strict=True), key=lambda pair: pair[0].skip)
    ]
    rows += [] if whole else _branch_order(drawing)
    return text + "\n".join([*rows, "}", ""])


def _branch_order(drawing: Drawing) -> list[str]:
    """Invisible edges between the first boxes of branches, which put them side by side in written order, if they are in
    one frame."""
    sources: dict[int, list[int]] = {}
    for arrow in drawing.arrows:
        sources.setdefault(arrow.target, []).append(arrow.source)
    around = {box.number: n for n, frame in enumerate(drawing.frames()) for box in frame.boxes()}
    together: dict[tuple[int | None, tuple[int, ...]], list[int]] = {}
    slices = {box.number for box in drawing.boxes() if box.kind == Slice.name}  # parts of one tensor, not branches
    for box, read in sorted(sources.items()):
        if box not in slices:
            together.setdefault((around.get(box), tuple(sorted(read))), []).append(box)
    pairs = (pair for boxes in together.values() for pair in pairwise(boxes))
    return [f"  n{left} -> n{right} [style=invis, minlen=0]" for left, right in pairs]


def _between(drawing: Drawing, options: Options, whole: bool) -> float:
    """Inches between ranks: room for a shape beside a vertical arrow, or above a horizontal one."""
    if whole:
        return 0.16
    if options.direction == "LR" and options.shapes:
        return 0.95
    many = max(Counter(arrow.target for arrow in drawing.arrows).values(), default=0) > 2
    return 0.5 if many and options.shapes else 0.26


def quote(text: str) -> str:
    """Escape a text for an HTML-like DOT label: markup, quotes, backslashes and control characters."""
    return escape(visible(text)).replace("\\", "&#92;")


# --- pieces ----------------------------------------------------------------------------------------------


def _members(drawing: Drawing, options: Options, whole: bool, roomy: Collection[int]) -> list[str]:
    """Boxes and frames as statements; frames as nested clusters."""
    theme, heat = THEMES.get(options.theme, LIGHT), scale(drawing, options.color)
    lines: list[str] = []
    clusters = 0
    pending: list[tuple[Box | Frame | None, int]] = [(m, 1) for m in reversed(drawing.members)]
    while pending:
        member, level = pending.pop()
        pad = "  " * level
        if member is None:
            lines.append(f"{pad}}}")
        elif isinstance(member, Box):
            lines.append(pad + _box(member, theme, heat, whole))
            if member.number in roomy:
                lines.append(pad + _label_room(member.number, drawing))
        else:
            lines.append(f"{pad}subgraph cluster_{clusters} {{ {_frame(member, theme, whole)}")
            if not (whole or member.stage):
                lines.append(pad + "  " + _title_room(clusters, member, drawing, options))
            clusters += 1
            pending.append((None, level))
            pending += [(m, level + 1) for m in reversed(member.members)]
    return lines


def _frame(frame: Frame, theme: Theme, whole: bool) -> str:
    """A frame's attributes. For the layout, a block's title has a placeholder: Graphviz draws arrows through titles."""
    inside = frame_content(frame)
    if frame.stage and not whole:  # its title may be beside the incoming arrow
        inside = inside._replace(height=inside.height - _TITLE_SAVED)
    label = _sized_label(inside, theme, whole, "left")
    line = theme.stage if frame.stage else theme.colors["block"].line
    style = "rounded,filled,dashed" if frame.training else "rounded,filled"
    fill = theme.stage if frame.stage else theme.background
    title = f"label=<{label}>, labeljust=l, labelloc=t" if whole or frame.stage else 'label=""'
    colors = f'fillcolor="{fill}", color="{line}", style="{style}"'
    return f"graph [{title}, {colors}, penwidth=1.0, margin=6]"


def _title_room(number: int, frame: Frame, drawing: Drawing, options: Options) -> str:
    """Room for the title of a frame, beside its first box and the boxes that read the same: at the left or on top."""
    inside = {box.number for box in frame.boxes()}
    reads: dict[int, set[int]] = {number: set() for number in inside}
    for arrow in drawing.arrows:
        if arrow.target in inside:
            reads[arrow.target].add(arrow.source)
    beside = [box for box in sorted(inside) if reads[box] == reads[min(inside)]]
    pairs = [f"f{number} -> n{box}" if options.direction == "TB" else f"n{box} -> f{number}" for box in beside]
    return _placeholder(f"f{number}", frame_content(frame), *pairs)


def _label_room(number: int, drawing: Drawing) -> str:
    """Room for the label of a box's arrows, beside the box."""
    label = next(arrow.label for arrow in drawing.arrows if arrow.source == number and arrow.label)
    return _placeholder(f"w{number}", arrow_content(label), f"n{number} -> w{number}")


def _placeholder(name: str, inside: Content, *beside: str) -> str:
    """An invisible node that keeps the arrows away from a text, `beside` boxes in the same rank."""
    node = f'{name} [label="", style=invis, width={inside.width / 72:.3f}, height={inside.height / 72:.3f}]'
    return "; ".join([node, *(f"{pair} [style=invis, minlen=0]" for pair in beside)])


def _box(box: Box, theme: Theme, heat: HeatScale | None, whole: bool) -> str:
    inside, color = content(box, heat), theme.colors[box.look]
    fill = heat.fill(box.cost, theme) if heat is not None and box.copies else color.fill
    fields = [
        f"label=<{_rows(inside.lines, theme)}>" if whole else 'label=""',
        f"width={inside.width / 72:.3f}",
        f"height={inside.height / 72:.3f}",
    ]
    fields += [f'fillcolor="{fill}"', f'color="{color.line}"']
    if box.look == "output":
        fields.append('shape=plaintext, style=""')
    elif box.sign:
        fields.append("shape=circle")
        fields += ['style="filled,dashed"'] if box.look == "unknown" else []
    elif box.training or box.look == "unknown":
        fields.append('style="rounded,filled,dashed"')
    return f"n{box.number} [{', '.join(fields)}]"


def _rows(lines: tuple[TextLine, ...], theme: Theme) -> str:
    """Lines of text, each centred."""
    return "<br/>".join(
        GAP.join(
            _font(run.text, run.size, run.bold, theme.quiet if run.tone == "quiet" else theme.ink) for run in line.runs
        )
        for line in lines
    )


def _font(text: str, size: float, bold: bool, color: str) -> str:
    inside = f"<b>{quote(text)}</b>" if bold else quote(text)
    return f'<font point-size="{size:g}" color="{color}">{inside}</font>'


def _sized_label(inside: Content, theme: Theme, whole: bool, align: str = "center") -> str:
    """A cell of the size of its text in Arimo, with the text if the DOT is `whole`."""
    end = f'<br align="{align}"/>'
    rows = _rows(inside.lines, theme).replace("<br/>", end) + end * (align != "center") if whole else ""
    size = f'width="{inside.width:.0f}" height="{inside.height:.0f}"'
    return f'<table border="0" cellborder="0" cellspacing="0" cellpadding="0"><tr><td {size}>{rows}</td></tr></table>'


def _arrow(arrow: Arrow, weight: int, options: Options, theme: Theme, whole: bool, longer: bool) -> str:
    labelled = arrow.label and options.shapes
    fields = [f"label=<{_sized_label(arrow_content(arrow.label), theme, True)}>"] if labelled and whole else []
    fields += [f"weight={weight}"] if weight != 1 else []
    fields += ["minlen=2"] if longer else []
    fields += ["style=dashed"] if arrow.training else []
    return f"  n{arrow.source} -> n{arrow.target}" + (f" [{', '.join(fields)}]" if fields else "")


def _weights(drawing: Drawing) -> list[int]:
    """The weight of each arrow: Graphviz draws an arrow of high weight short and straight.

    It keeps the boxes of a frame together with a weight of 128 for each frame around them: the trunk's is larger.
    The trunk, the longest path through a chain of stages, runs straight down, and shortcuts go around it. It ends where
    more than two arrows leave a box. An encoder with a decoder has no trunk, so that it can form a U.
    """
    staged = any(member.stage if isinstance(member, Frame) else member.kind == "stage" for member in drawing.members)
    if not staged and not drawing.view.focus:
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
        _TRUNK
        if trunk.get(arrow.source) is arrow
        else 2
        if leaving[arrow.source] > 1 and entering[arrow.target] == 1
        else 1
        for arrow in drawing.arrows
    ]

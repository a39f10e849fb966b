"""A drawing as a Mermaid flowchart, which GitHub shows in Markdown. https://mermaid.js.org/syntax/flowchart.html"""

from __future__ import annotations

from archdsl.drawing.graph.labels import short
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import Box, Drawing, Frame
from archdsl.drawing.request import Diagram, Options, Request
from archdsl.drawing.theme import LIGHT, THEMES
from archdsl.report.text import visible
from archdsl.report.words import TIMES

_SPACING = '"nodeSpacing": 30, "rankSpacing": 34, "subGraphTitleMargin": {"bottom": 14}'
_SETTINGS = f'%%{{init: {{"flowchart": {{"wrappingWidth": 420, {_SPACING}}}}}}}%%'


def write(request: Request) -> Diagram:
    """Write a drawing as a Mermaid flowchart."""
    return Diagram(mermaid(compose(request.graph, request.view), request.options).encode())


def mermaid(drawing: Drawing, options: Options = Options()) -> str:
    """Return the flowchart text: nodes are `n0`, `n1`, ..., and every text is quoted and escaped."""
    lines = [_SETTINGS, f"flowchart {options.direction}"]
    frames = 0
    pending: list[tuple[Box | Frame | None, int]] = [(m, 1) for m in reversed(drawing.members)]
    while pending:
        member, level = pending.pop()
        pad = "  " * level
        if member is None:
            lines.append(f"{pad}end")
        elif isinstance(member, Box):
            lines.append(pad + _box(member))
        else:
            count = f" {TIMES} {member.count}" if member.count > 1 else ""
            title = "  ".join(
                filter(None, (f"{short(member.name)}{count}", *map(short, (member.title, *member.lines))))
            )
            lines.append(f'{pad}subgraph f{frames}["{quote(title)}"]')
            frames += 1
            pending.append((None, level))
            pending += [(m, level + 1) for m in reversed(member.members)]
    for arrow in drawing.arrows:
        label = f'|"{quote(arrow.label)}"|' if arrow.label and options.shapes else ""
        lines.append(f"  n{arrow.source} {'-.->' if arrow.training else '-->'}{label} n{arrow.target}")
    return "\n".join([*lines, *_classes(drawing, options), ""])


def quote(text: str) -> str:
    """Escape a text for double quotes: Mermaid reads `#NN;` as a character, and other text as Markdown and HTML."""
    return "".join(
        c if c.isalnum() or c in " ,./()+-=\u00d7\u2026\u00b7\u00a0" else f"#{ord(c)};" for c in visible(text)
    )


def _box(box: Box) -> str:
    if box.sign:
        return f'n{box.number}(("{quote(box.sign)}"))'
    count = f" {TIMES} {box.count}" if box.count > 1 else ""
    rows = [f"{short(box.title)}{count}", short(box.name), *map(short, box.lines), short(box.tail)]
    return f'n{box.number}("{"<br>".join(quote(row) for row in rows if row)}")'


def _classes(drawing: Drawing, options: Options) -> list[str]:
    """The colours of each category, as classes."""
    theme = THEMES.get(options.theme, LIGHT)
    looks = {look: [f"n{box.number}" for box in drawing.boxes() if box.look == look] for look in theme.colors}
    rows: list[tuple[str, str, str, str, list[str]]] = [
        (look, *theme.colors[look], theme.ink, members) for look, members in looks.items()
    ]
    frames = list(enumerate(drawing.frames()))
    stages, opened = ([f"f{n}" for n, frame in frames if frame.stage is stage] for stage in (True, False))
    rows.append(("stage", theme.stage, theme.stage, theme.quiet, stages))
    rows.append(("opened", theme.background, theme.colors["block"].line, theme.quiet, opened))
    lines = []
    for name, fill, line, ink, members in rows:
        if members:
            dashes = ",stroke-dasharray:4 2.5" if name == "unknown" else ""
            lines.append(f"  classDef {name} fill:{fill},stroke:{line},color:{ink}{dashes}")
            lines.append(f"  class {','.join(members)} {name}")
    return lines

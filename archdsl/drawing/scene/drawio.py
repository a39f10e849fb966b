"""Write scenes as a file of draw.io (diagrams.net): a page for each, with shapes, texts and attached arrows.

The file is plain XML, an `mxGraphModel` for each page. Arrows have the bends that they have in the picture.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

from archdsl.drawing.scene import Circle, Fill, Hatch, Path, Point, Polygon, Raster, Scene
from archdsl.drawing.scene.svg import number
from archdsl.drawing.scene.things import (
    Line,
    Piece,
    Rect,
    Thing,
    alignment,
    axis_aligned,
    gap,
    pieces,
    route,
    things,
    union,
)
from archdsl.report.text import visible, xml

_APART = 14.0
"""Distance between the points of a curve, which draw.io makes round again."""


def to_drawio(scenes: Sequence[Scene]) -> bytes:
    """Return the file."""
    pages = "".join(_page(n, scene) for n, scene in enumerate(scenes))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<mxfile host="archdsl">\n{pages}</mxfile>\n'.encode()


def _page(n: int, scene: Scene) -> str:
    parts = things(scene)
    boxes = {part.name: union([piece.bounds for piece in pieces(part)]) for part in parts if part.ends is None}
    cells = "".join(cell for m, part in enumerate(parts) for cell in _thing(part, f"{part.name or f'item-{m}'}", boxes))
    size = f'pageWidth="{number(scene.width)}" pageHeight="{number(scene.height)}" background="{scene.background}"'
    return (
        f'<diagram id="page-{n + 1}" name="{xml(scene.title[:100])}">\n'
        f'<mxGraphModel grid="0" page="1" {size}>\n<root>\n'
        f'<mxCell id="0"/>\n<mxCell id="1" parent="0"/>\n{cells}</root>\n</mxGraphModel>\n</diagram>\n'
    )


def _thing(thing: Thing, id: str, boxes: dict[str, Rect]) -> Iterator[str]:
    if thing.ends is not None:
        yield from _arrow(thing, id, boxes)
        return
    own = pieces(thing)
    if len(own) == 1:
        yield _piece(own[0], id, "1", Point(0, 0))
    elif own:
        box = union([piece.bounds for piece in own])
        yield f'<mxCell id="{id}" style="group;" vertex="1" parent="1">{_geometry(box)}</mxCell>\n'
        yield from (_piece(piece, f"{id}-{n}", id, Point(box.left, box.top)) for n, piece in enumerate(own, 1))


def _piece(piece: Piece, id: str, parent: str, origin: Point) -> str:
    box, item = piece.bounds, piece.outline
    box = Rect(box.left - origin.x, box.top - origin.y, box.right - origin.x, box.bottom - origin.y)
    if isinstance(item, Raster):
        data = b64encode(item.bitmap.png()).decode()
        style = f"shape=image;imageAspect=0;aspect=fixed;image=data:image/png,{data};"
        return f'<mxCell id="{id}" style="{style}" vertex="1" parent="{parent}">{_geometry(box)}</mxCell>\n'
    if isinstance(item, Path):
        points = _line_points(item, origin)
        style = f"edgeStyle=none;{_look(item)}endArrow={'block;endSize=4' if item.head else 'none'};"
        ends = _point(points[0], "sourcePoint") + _point(points[-1], "targetPoint")
        geometry = f'<mxGeometry relative="1" as="geometry">{ends}{_array(points[1:-1])}</mxGeometry>'
        return f'<mxCell id="{id}" style="{style}" edge="1" parent="{parent}">{geometry}</mxCell>\n'
    style = _shape(item, piece.bounds) + _look(item) + _words(piece)
    value = "<br>".join(map(_html, piece.lines))
    return (
        f'<mxCell id="{id}" value="{escape(value)}" style="{escape(style)}" vertex="1" parent="{parent}">'
        f"{_geometry(box)}</mxCell>\n"
    )


def _arrow(thing: Thing, id: str, boxes: dict[str, Rect]) -> Iterator[str]:
    """An arrow from one shape to another, and its label, which stays on it."""
    assert thing.ends is not None
    paths, texts = route(thing)
    last = paths[-1]
    points = [point for path in paths for point in _line_points(path, Point(0, 0))]
    style = f"edgeStyle=none;html=1;{_look(last)}{'curved=1;' if last.curved else 'rounded=1;'}"
    style += "endArrow=block;endSize=4;endFill=1;" if last.head else "endArrow=none;"
    for word, name, point in (("exit", thing.ends[0], points[0]), ("entry", thing.ends[1], points[-1])):
        box = boxes[name]
        shares = (_share(point.x, box.left, box.right), _share(point.y, box.top, box.bottom))
        style += f"{word}X={shares[0]};{word}Y={shares[1]};{word}Dx=0;{word}Dy=0;{word}Perimeter=0;"
    geometry = f'<mxGeometry relative="1" as="geometry">{_array(points[1:-1])}</mxGeometry>'
    ends = f'source="{thing.ends[0]}" target="{thing.ends[1]}"'
    yield f'<mxCell id="{id}" style="{style}" edge="1" parent="1" {ends}>{geometry}</mxCell>\n'
    middle = _halfway(points)
    for n, piece in enumerate(texts, 1):
        x, y = piece.bounds.middle
        offset = _point(Point(x - middle.x, y - middle.y), "offset")
        value = "<br>".join(map(_html, piece.lines))
        look = f"edgeLabel;html=1;labelBackgroundColor={piece.lines[0][0].halo or 'none'};"
        yield (
            f'<mxCell id="{id}-{n}" value="{escape(value)}" style="{look}" vertex="1" connectable="0" parent="{id}">'
            f'<mxGeometry relative="1" as="geometry">{offset}</mxGeometry></mxCell>\n'
        )


# --- geometry --------------------------------------------------------------------------------------------


def _geometry(box: Rect) -> str:
    width, height = number(box.right - box.left), number(box.bottom - box.top)
    place = f'x="{number(box.left)}" y="{number(box.top)}" width="{width}" height="{height}"'
    return f'<mxGeometry {place} as="geometry"/>'


def _point(point: Point, role: str = "") -> str:
    called = f' as="{role}"' if role else ""
    return f'<mxPoint x="{number(point.x)}" y="{number(point.y)}"{called}/>'


def _array(points: Sequence[Point]) -> str:
    return f'<Array as="points">{"".join(map(_point, points))}</Array>' if points else ""


def _line_points(path: Path, origin: Point) -> list[Point]:
    points = list(path.along(_APART)) if path.curved else path.points
    return [Point(point.x - origin.x, point.y - origin.y) for point in points]


def _share(value: float, low: float, high: float) -> str:
    return number((value - low) / (high - low) if high > low else 0.5, 4)


def _halfway(points: Sequence[Point]) -> Point:
    """The point in the middle of a line, along it."""
    line = list(Path(tuple(points), "").along(1.0))
    return line[len(line) // 2]


# --- looks and texts -------------------------------------------------------------------------------------


def _shape(item: Polygon | Circle | None, box: Rect) -> str:
    if item is None:
        return "text;"
    if isinstance(item, Circle):
        return "ellipse;"
    if axis_aligned(item):
        return f"rounded=1;absoluteArcSize=1;arcSize={number(2 * item.round)};" if item.round else "rounded=0;"
    shares = (f"[{_share(x, box.left, box.right)},{_share(y, box.top, box.bottom)}]" for x, y in item.points)
    return f"shape=mxgraph.basic.polygon;polyCoords=[{','.join(shares)}];polyline=0;"


def _look(item: Polygon | Circle | Path | None) -> str:
    if item is None:
        return ""
    style = "" if isinstance(item, Path) else f"fillColor={_color(item.fill)};"
    style += f"strokeColor={item.line or 'none'};strokeWidth={number(item.width)};"
    return style + (f"dashed=1;dashPattern={' '.join(map(number, item.dashes))};" if item.dashes else "")


def _color(fill: Fill) -> str:
    return fill.ground if isinstance(fill, Hatch) else fill or "none"


def _words(piece: Piece) -> str:
    """Where the text of a shape is: in its middle, or at the top left as in the picture."""
    style = "html=1;spacing=0;overflow=visible;fontFamily=Helvetica;"
    if not piece.lines:
        return style
    across, inset, top = alignment(piece)
    align = {"start": "left", "middle": "center", "end": "right"}[across]
    edge = f"spacing{align.capitalize()}={number(inset)};" if inset else ""
    place = "verticalAlign=middle;" if top is None else f"verticalAlign=top;spacingTop={number(top)};"
    return f"{style}align={align};{edge}{place}"


def _html(line: Line) -> str:
    """A line of text as the HTML of a label."""
    out = ""
    for n, text in enumerate(line):
        words = escape(visible(text.text))
        words = f"<b>{words}</b>" if text.bold else words
        out += gap(line, n)
        out += f'<font color="{text.color}" style="font-size:{number(text.size)}px">{words}</font>'
    return out

"""Write scenes as a PowerPoint file: a slide of the scene's size for each, with shapes, texts and attached connectors.

A box is one shape with its text, a box of several shapes a group. python-pptx makes the file around the shapes, whose
XML is that of ECMA-376, part 1, chapters 19 to 21.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from archdsl.drawing.scene import Circle, Fill, Hatch, Path, Point, Polygon, Raster, Scene, scaled
from archdsl.drawing.scene.connectors import Connector, Site, connect, facing
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
from archdsl.packages import require_package
from archdsl.report.text import visible, xml

_EMU = 12_700
"""English metric units in a point."""
_SMALLEST, _LARGEST = 72.0, 4032.0
"""The smallest and the largest side of a slide in points: 1 and 56 inches."""
_NAMESPACES = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)


def to_pptx(scenes: Sequence[Scene]) -> bytes:
    """Return a presentation. Raises E0716 (status 2) if python-pptx is not installed."""
    require_package("pptx", "E0716")
    from pptx import Presentation
    from pptx.dml.color import RGBColor
    from pptx.oxml import parse_xml

    colors: Any = RGBColor
    longest = max(max(scene.width, scene.height) for scene in scenes)
    scenes = [scaled(scene, _LARGEST / longest) for scene in scenes] if longest > _LARGEST else scenes
    presentation: Any = Presentation()
    sides = zip(*((scene.width, scene.height) for scene in scenes), strict=True)
    presentation.slide_width, presentation.slide_height = (_emu(max(_SMALLEST, *lengths)) for lengths in sides)
    presentation.core_properties.title = visible(scenes[0].title)[:255]
    presentation.core_properties.subject = visible(scenes[0].caption)[:255]
    for scene in scenes:
        slide = presentation.slides.add_slide(presentation.slide_layouts[6])
        slide.background.fill.solid()
        slide.background.fill.fore_color.rgb = colors.from_string(scene.background[1:].upper())

        def embed(png: bytes, part: Any = slide.part) -> str:
            _, relation = part.get_or_add_image_part(io.BytesIO(png))
            return str(relation)

        for element in _Slide(scene, embed).elements():
            slide.shapes._spTree.append(parse_xml(element))
    data = io.BytesIO()
    presentation.save(data)
    return _undated(data)


def _undated(data: io.BytesIO) -> bytes:
    """The same archive with a fixed date, so that equal presentations are equal files."""
    out = io.BytesIO()
    with ZipFile(data) as old, ZipFile(out, "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(ZipInfo(name, (1980, 1, 1, 0, 0, 0)), old.read(name), ZIP_DEFLATED)
    return out.getvalue()


def _emu(points: float) -> int:
    return round(points * _EMU)


@dataclass
class _Slide:
    """The XML of a slide's shapes."""

    scene: Scene
    embed: Callable[[bytes], str]
    """Adds a PNG to the file, and returns the id of its relation to the slide."""
    last: int = 1
    sites: dict[str, list[Site]] = field(default_factory=dict)
    wanted: dict[str, list[Point]] = field(default_factory=dict)
    """The ends of arrows at each thing: polygons have sites there."""

    def elements(self) -> Iterator[str]:
        """In painting order. Connectors need the numbers of the shapes that may be painted after them."""
        parts = things(self.scene)
        for part in parts:
            if part.ends is not None:
                points = route(part).points
                for end, point in zip(part.ends, (points[0], points[-1]), strict=True):
                    self.wanted.setdefault(end, []).append(point)
        boxes = {n: list(self._thing(part)) for n, part in enumerate(parts) if part.ends is None}
        for n, part in enumerate(parts):
            yield from boxes[n] if part.ends is None else self._arrow(part)

    def _number(self) -> int:
        self.last += 1
        return self.last

    def _thing(self, thing: Thing) -> Iterator[str]:
        own = pieces(thing)
        if len(own) == 1 or not thing.name:
            yield from (self._shape(piece, thing) for piece in own)
        elif own:
            number = self._number()
            box = union([piece.bounds for piece in own])
            place = _place(box)
            inner = "".join(self._shape(piece, thing._replace(title="")) for piece in own)
            child = place.replace("a:off", "a:chOff").replace("a:ext", "a:chExt")
            yield (
                f"<p:grpSp {_NAMESPACES}><p:nvGrpSpPr>{_called(number, thing)}<p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr>"
                f"<p:grpSpPr><a:xfrm>{place}{child}</a:xfrm></p:grpSpPr>{inner}</p:grpSp>"
            )

    def _shape(self, piece: Piece, thing: Thing) -> str:
        number = self._number()
        box = piece.bounds
        if isinstance(piece.outline, Raster):
            return self._image(piece.outline, box, number, thing)
        geometry, sites = _geometry(piece, box, self.wanted.get(thing.name, ()))
        self.sites.setdefault(thing.name, []).extend(Site(number, *site) for site in sites)
        item = piece.outline
        look = "<a:noFill/>" if isinstance(item, Path) else _fill(item.fill if item is not None else _halo(piece))
        look += _line(item) if item is not None else ""
        kind = "" if item is not None else ' txBox="1"'
        return (
            f"<p:sp {_NAMESPACES}><p:nvSpPr>{_called(number, thing)}<p:cNvSpPr{kind}/><p:nvPr/></p:nvSpPr>"
            f"<p:spPr><a:xfrm>{_place(box)}</a:xfrm>{geometry}{look}</p:spPr>{_text(piece)}</p:sp>"
        )

    def _image(self, image: Raster, box: Rect, number: int, thing: Thing) -> str:
        relation = self.embed(image.bitmap.png())
        return (
            f"<p:pic {_NAMESPACES}><p:nvPicPr>{_called(number, thing)}<p:cNvPicPr/><p:nvPr/></p:nvPicPr><p:blipFill>"
            f'<a:blip r:embed="{relation}"/><a:stretch><a:fillRect/></a:stretch></p:blipFill>'
            f"<p:spPr><a:xfrm>{_place(box)}</a:xfrm>{_preset('rect')}</p:spPr></p:pic>"
        )

    def _arrow(self, thing: Thing) -> Iterator[str]:
        """A connector that is attached to both shapes, and its texts."""
        assert thing.ends is not None
        arrow = route(thing)
        connector = connect(arrow.paths, arrow.points, *(self.sites[name] for name in thing.ends))
        yield self._connector(thing, arrow.paths[-1], connector)
        yield from (self._shape(piece, thing._replace(title="")) for piece in arrow.texts)

    def _connector(self, thing: Thing, line: Path, connector: Connector) -> str:
        preset, box, rotated, flips, values, start, end = connector
        turn = ' rot="5400000"' if rotated else ""
        turn += "".join(f' {name}="1"' for name, flip in zip(("flipH", "flipV"), flips, strict=True) if flip)
        guides = "".join(f'<a:gd name="adj{n}" fmla="val {round(100_000 * v)}"/>' for n, v in enumerate(values, 1))
        return (
            f"<p:cxnSp {_NAMESPACES}><p:nvCxnSpPr>{_called(self._number(), thing)}<p:cNvCxnSpPr>"
            f'<a:stCxn id="{start.shape}" idx="{start.place}"/><a:endCxn id="{end.shape}" idx="{end.place}"/>'
            f"</p:cNvCxnSpPr><p:nvPr/></p:nvCxnSpPr><p:spPr><a:xfrm{turn}>{_place(box)}</a:xfrm>"
            f"{_preset(preset, guides)}{_line(line)}</p:spPr></p:cxnSp>"
        )


# --- geometry --------------------------------------------------------------------------------------------


def _place(box: Rect) -> str:
    x, y, right, bottom = map(_emu, box)
    return f'<a:off x="{x}" y="{y}"/><a:ext cx="{right - x}" cy="{bottom - y}"/>'


def _geometry(piece: Piece, box: Rect, wanted: Sequence[Point]) -> tuple[str, list[tuple[int, Point, int]]]:
    """The geometry of a shape, and its sites: (index, place, side)."""
    item = piece.outline
    middles = (
        Point(box.middle.x, box.top),
        Point(box.left, box.middle.y),
        Point(box.middle.x, box.bottom),
        Point(box.right, box.middle.y),
    )
    if isinstance(item, Circle):
        return _preset("ellipse"), [(2 * side, at, side) for side, at in enumerate(middles)]
    if item is None or axis_aligned(item):
        radius = item.round if isinstance(item, Polygon) else 0.0
        shortest = max(min(box.right - box.left, box.bottom - box.top), 0.1)
        share = min(50_000, round(100_000 * radius / shortest))
        preset = _preset("roundRect", f'<a:gd name="adj" fmla="val {share}"/>') if radius else _preset("rect")
        return preset, [(side, at, side) for side, at in enumerate(middles)]
    assert isinstance(item, Path | Polygon)
    if isinstance(item, Path):
        return _custom(item, box, ()), []
    sites = [*middles, *wanted]
    return _custom(item, box, sites), [(n, at, facing(at, box.middle)) for n, at in enumerate(sites)]


def _preset(name: str, values: str = "") -> str:
    return f'<a:prstGeom prst="{name}"><a:avLst>{values}</a:avLst></a:prstGeom>'


def _custom(item: Path | Polygon, box: Rect, sites: Sequence[Point]) -> str:
    """A polygon or a line, with sites."""
    width, height = _emu(box.right) - _emu(box.left), _emu(box.bottom) - _emu(box.top)

    def at(tag: str, *points: Point) -> str:
        inner = "".join(f'<a:pt x="{_emu(p.x - box.left)}" y="{_emu(p.y - box.top)}"/>' for p in points)
        return f"<a:{tag}>{inner}</a:{tag}>"

    start, *rest = item.points
    if isinstance(item, Path) and item.curved:
        steps = "".join(at("cubicBezTo", *rest[n : n + 3]) for n in range(0, len(rest), 3))
    else:
        steps = "".join(at("lnTo", point) for point in rest)
    steps += "" if isinstance(item, Path) else "<a:close/>"
    unfilled = ' fill="none"' if isinstance(item, Path) else ""
    guides, places = "", ""
    for n, site in enumerate(sites):
        x, y = _emu(site.x - box.left), _emu(site.y - box.top)
        guides += (
            f'<a:gd name="x{n}" fmla="*/ {x} w {max(width, 1)}"/><a:gd name="y{n}" fmla="*/ {y} h {max(height, 1)}"/>'
        )
        places += f'<a:cxn ang="0"><a:pos x="x{n}" y="y{n}"/></a:cxn>'
    return (
        f'<a:custGeom><a:avLst/><a:gdLst>{guides}</a:gdLst><a:ahLst/><a:cxnLst>{places}</a:cxnLst><a:rect l="0" t="0" '
        f'r="r" b="b"/><a:pathLst><a:path w="{width}" h="{height}"{unfilled}>{at("moveTo", start)}{steps}</a:path>'
        "</a:pathLst></a:custGeom>"
    )


# --- looks and texts -------------------------------------------------------------------------------------


def _called(number: int, thing: Thing) -> str:
    return f'<p:cNvPr id="{number}" name="{xml(thing.name or f"item {number}")}" descr="{xml(thing.title[:300])}"/>'


def _color(color: str) -> str:
    return f'<a:srgbClr val="{color[1:].upper()}"/>'


def _fill(fill: Fill) -> str:
    if isinstance(fill, Hatch):
        (a, b), *_ = fill.lines
        pattern = "ltHorz" if a.y == b.y else "ltVert" if a.x == b.x else "ltUpDiag" if a.y > b.y else "ltDnDiag"
        colors = f"<a:fgClr>{_color(fill.line)}</a:fgClr><a:bgClr>{_color(fill.ground)}</a:bgClr>"
        return f'<a:pattFill prst="{pattern}">{colors}</a:pattFill>'
    return f"<a:solidFill>{_color(fill)}</a:solidFill>" if fill else "<a:noFill/>"


def _halo(piece: Piece) -> str:
    return piece.lines[0][0].halo


def _line(item: Polygon | Circle | Path) -> str:
    if not item.line:
        return "<a:ln><a:noFill/></a:ln>"
    dashes = ""
    if item.dashes:
        pairs = zip(item.dashes[::2], item.dashes[1::2] or item.dashes[::2], strict=False)
        shares = ((round(100_000 * length / item.width) for length in pair) for pair in pairs)
        dashes = "<a:custDash>" + "".join(f'<a:ds d="{on}" sp="{off}"/>' for on, off in shares) + "</a:custDash>"
    head = '<a:tailEnd type="triangle"/>' if isinstance(item, Path) and item.head else ""
    return f'<a:ln w="{_emu(item.width)}"><a:solidFill>{_color(item.line)}</a:solidFill>{dashes}{head}</a:ln>'


def _text(piece: Piece) -> str:
    """The text of a shape: in its middle, or as far below its top as in the picture."""
    if not piece.lines:
        return "<p:txBody><a:bodyPr/><a:lstStyle/><a:p/></p:txBody>"
    across, inset, top = alignment(piece)
    left, right = (_emu(inset) if across == edge else 0 for edge in ("start", "end"))
    inner = f'lIns="{left}" tIns="{_emu(top or 0)}" rIns="{right}" bIns="0"'
    body = f'<a:bodyPr wrap="none" {inner} anchor="{"ctr" if top is None else "t"}"><a:noAutofit/></a:bodyPr>'
    align = {"start": "l", "middle": "ctr", "end": "r"}[across]
    rows = "".join(f'<a:p><a:pPr algn="{align}"/>{"".join(_runs(line))}</a:p>' for line in piece.lines)
    return f"<p:txBody>{body}<a:lstStyle/>{rows}</p:txBody>"


def _runs(line: Line) -> Iterator[str]:
    for n, text in enumerate(line):
        bold = ' b="1"' if text.bold else ""
        look = f'<a:solidFill>{_color(text.color)}</a:solidFill><a:latin typeface="Arial"/>'
        yield (
            f'<a:r><a:rPr lang="en-US" sz="{max(100, round(100 * text.size))}"{bold}>{look}</a:rPr>'
            f"<a:t>{gap(line, n)}{xml(text.text)}</a:t></a:r>"
        )

"""The request for a drawing: its options and its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias, get_args

from archdsl.diagnostics.arguments import check_choice, check_range, check_type
from archdsl.drawing.model.drawing import View
from archdsl.drawing.paper import MIN_FONT, PAGE_MM, PAPERS, Font, PaperName
from archdsl.drawing.scene import PORTRAIT, Bitmap, Sheet
from archdsl.graph import Graph

ThemeChoice: TypeAlias = Literal["auto", "light", "dark", "print"]
Heat: TypeAlias = Literal["kind", "params", "macs", "memory"]
Direction: TypeAlias = Literal["TB", "LR"]

Style: TypeAlias = Literal["graph", "volumes", "article", "sheets"]

TIME_LIMIT_S = 10.0
DPI = 144
"""Pixels per inch of a PNG: twice the 72 points per inch of an SVG, sharp on high-resolution screens."""
_MM = 72 / 25.4
"""Points in a millimetre."""


class Target(NamedTuple):
    """The space on paper in points, and the smallest font size there."""

    sheet: Sheet
    least: float


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a drawing. The theme `auto` is light, or dark if the reader prefers dark (SVG and HTML only).

    Raises E0001 for an unknown theme, color, direction, paper or font, E0002 for a size out of range, E0004 for an
    argument of another type; all of status 2.
    """

    theme: ThemeChoice = "auto"
    color: Heat = "kind"
    """What colours mean: `kind` is the category of the op, the others the share of the params, MACs or memory."""
    shapes: bool = True
    """Whether arrows are labelled with shapes."""
    title: str | None = None
    """The title, by default the network's name. An empty title also removes the totals."""
    legend: bool = False
    direction: Direction = "TB"
    width_mm: int | None = None
    """Width on paper (a column is about 85, a page 170). None: that of `paper`, or the drawing's own size."""
    height_mm: int | None = None
    """The largest height on paper, by default that of `paper` or of a page, 240."""
    paper: PaperName | None = None
    """Sets the width, the height, the font, its sizes and the theme, unless they are set. A drawing on a `slide` is in
    the middle, and the direction is that which fits."""
    min_font: float | None = None
    """The smallest font size on paper in points, by default 6 if there is a size on paper."""
    font: Font | None = None
    font_size: float | None = None
    """The largest size of the main labels on paper in points, by default that of the style."""
    dpi: int = DPI
    """Resolution of a PNG in pixels per inch."""
    fragment: bool = False
    """Whether TeX output is only the picture, for use in another document."""
    true_scale: bool = False
    """Whether the maps of the style `sheets` are in proportion, and not their square roots."""

    def __post_init__(self) -> None:
        check_choice("theme", self.theme, get_args(ThemeChoice))
        check_choice("color", self.color, get_args(Heat))
        check_choice("direction", self.direction, get_args(Direction))
        for name in ("shapes", "legend", "fragment", "true_scale"):
            check_type(name, getattr(self, name), "True or False", bool)
        check_type("title", self.title, "a string, or None", str, type(None))
        check_range("dpi", self.dpi, 10, 1200)
        if self.paper is not None:
            check_choice("paper", self.paper, PAPERS)
            for name, value in PAPERS[self.paper]._asdict().items():
                if getattr(self, name) in (None, "auto"):
                    object.__setattr__(self, name, value)
        for name, size in (("width_mm", self.width_mm), ("height_mm", self.height_mm)):
            if size is not None:
                check_range(name, size, 20, 2000)
        for name, points in (("min_font", self.min_font), ("font_size", self.font_size)):
            if points is not None:
                check_range(name, points, 1, 72, whole=False)
        check_choice("font", self.font or "sans", get_args(Font))

    @property
    def width_points(self) -> float | None:
        """The width on paper; None: the drawing's own."""
        return None if self.width_mm is None else self.width_mm * _MM

    @property
    def page_points(self) -> float:
        """The width on paper, by default that of a page."""
        return PORTRAIT.width if self.width_points is None else self.width_points

    @property
    def is_slide(self) -> bool:
        """Whether the picture has the height of the paper, too."""
        return self.paper == "slide"

    @property
    def family(self) -> Font:
        return self.font or "sans"

    @property
    def target(self) -> Target | None:
        """The space on paper; None if neither a size nor a smallest font size on paper is requested."""
        if self.width_mm is self.height_mm is self.min_font is None:
            return None
        height, least = self.height_mm or PAGE_MM, self.min_font or MIN_FONT
        return Target(Sheet(self.page_points, height * _MM), least)


@dataclass(frozen=True, slots=True)
class Request:
    """The input of every style and format."""

    graph: Graph
    view: View = field(default_factory=View)
    options: Options = field(default_factory=Options)
    time_limit_s: float = TIME_LIMIT_S
    """Time limit of each run of the layout engine."""
    beside: bool = False
    """Whether it is one of several pictures of a figure."""
    photo: Photo | None = None
    """The photograph that the network sees, for a figure of its focus on it."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph as a network sees it, one node, and what the node sees and answers.

    `sizes` are those of the node's output. `field` has the first pixel and the end of the receptive field of its middle
    value along each axis, outside of the image too; None: the whole image.
    """

    name: str
    seen: Bitmap
    node: int
    sizes: tuple[int, ...]
    field: tuple[tuple[int, int], ...] | None
    response: Response | None = None
    notes: tuple[str, ...] = ()


class Response(NamedTuple):
    """The first maps of a node's output in grey: `black` and `white` are the values of these greys, `least` and `most`
    those of all maps."""

    maps: tuple[Bitmap, ...]
    black: float
    white: float
    least: float
    most: float


class Diagram(NamedTuple):
    """A finished drawing of one picture or several; `note` says how it was simplified (empty if it was not)."""

    data: bytes
    note: str = ""
    smallest_pt: float | None = None
    """Font size of the smallest text on paper, at `width_mm`; None for formats without a size."""
    width_mm: float | None = None
    pictures: int = 1

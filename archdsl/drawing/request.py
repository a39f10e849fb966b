"""The request for a drawing: its options and its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias, get_args

from archdsl.diagnostics.arguments import check_choice, check_range, check_type
from archdsl.drawing.model.drawing import View
from archdsl.graph import Graph

ThemeChoice: TypeAlias = Literal["auto", "light", "dark", "print"]
Heat: TypeAlias = Literal["kind", "params", "macs", "memory"]
Direction: TypeAlias = Literal["TB", "LR"]

Style: TypeAlias = Literal["graph", "volumes", "article"]

TIME_LIMIT_S = 10.0
DPI = 144
"""Pixels per inch of a PNG: twice the 72 points per inch of an SVG, sharp on high-resolution screens."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a drawing. The theme `auto` is light, or dark if the reader prefers dark (SVG and HTML only).

    Raises E0001 for an unknown theme, color or direction, E0002 for `dpi` or `width_mm` out of range, E0004 for an
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
    dpi: int = DPI
    """Resolution of a PNG in pixels per inch."""
    width_mm: int | None = None
    """Width on paper (a column is about 85, a page 170). None: the drawing's own size, at most a page."""

    def __post_init__(self) -> None:
        check_choice("theme", self.theme, get_args(ThemeChoice))
        check_choice("color", self.color, get_args(Heat))
        check_choice("direction", self.direction, get_args(Direction))
        for name, value in (("shapes", self.shapes), ("legend", self.legend)):
            check_type(name, value, "True or False", bool)
        check_type("title", self.title, "a string, or None", str, type(None))
        check_range("dpi", self.dpi, 10, 1200)
        if self.width_mm is not None:
            check_range("width_mm", self.width_mm, 20, 2000)

    @property
    def width_points(self) -> float | None:
        return None if self.width_mm is None else self.width_mm * 72 / 25.4


@dataclass(frozen=True, slots=True)
class Request:
    """The input of every style and format."""

    graph: Graph
    view: View = field(default_factory=View)
    options: Options = field(default_factory=Options)
    time_limit_s: float = TIME_LIMIT_S
    """Time limit of each run of the layout engine."""


class Diagram(NamedTuple):
    """A finished drawing; `note` says how it was simplified (empty if it was not)."""

    data: bytes
    note: str = ""

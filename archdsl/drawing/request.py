"""What a user asks of a drawing, apart from which part of the network it shows."""

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
"""Of a PNG: twice the 72 points per inch of an SVG, sharp on today's screens."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a drawing looks. Theme `auto`: light, and dark where whoever looks prefers that (SVG and HTML only).

    Raises E0001 for an unknown theme, color or direction, E0002 for `dpi` or `width_mm` out of range, E0004 for an
    argument of another type; all of status 2.
    """

    theme: ThemeChoice = "auto"
    color: Heat = "kind"
    """What the colours of boxes say: the kind of op, or how large a share of the params, MACs or memory it has."""
    shapes: bool = True
    """Shapes on the arrows."""
    title: str | None = None
    """Instead of the network's name; empty: none, nor the totals."""
    legend: bool = False
    direction: Direction = "TB"
    dpi: int = DPI
    """Of a PNG, in pixels per inch, at 72 points per inch."""
    width_mm: int | None = None
    """Of the picture on paper (a column has about 85, a page 170); None: as large as it is, but no larger than a
    page."""

    def __post_init__(self) -> None:
        check_choice("theme", self.theme, get_args(ThemeChoice))
        check_choice("color", self.color, get_args(Heat))
        check_choice("direction", self.direction, get_args(Direction))
        for name, value in (("shapes", self.shapes), ("legend", self.legend)):
            check_type(name, value, "True or False", bool)
        check_type("title", self.title, "a text, or None", str, type(None))
        check_range("dpi", self.dpi, 10, 1200)
        if self.width_mm is not None:
            check_range("width_mm", self.width_mm, 20, 2000)

    @property
    def width_points(self) -> float | None:
        return None if self.width_mm is None else self.width_mm * 72 / 25.4


@dataclass(frozen=True, slots=True)
class Request:
    """A drawing as it was asked for: what every style and every format is given."""

    graph: Graph
    view: View = field(default_factory=View)
    options: Options = field(default_factory=Options)
    time_limit_s: float = TIME_LIMIT_S
    """For each run of the layout engine."""


class Diagram(NamedTuple):
    """A finished drawing, and what had to be left out of it (empty: nothing)."""

    data: bytes
    note: str = ""

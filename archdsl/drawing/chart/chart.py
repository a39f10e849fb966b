"""The ball chart: accuracy against multiply-accumulates; the area of a ball shows the parameters.

The chart follows figure 1 of Bianco et al. 2018, "Benchmark Analysis of Representative Deep Neural Network
Architectures". matplotlib draws it and is imported only for that. Colours (Okabe and Ito's) show families; every ball
also has its name beside it. In SVG and PDF text stays text.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from math import sqrt
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from archdsl.diagnostics import escape_control
from archdsl.drawing.chart.names import Ball, NamePosition, place_names
from archdsl.packages import require_package
from archdsl.report.table import in_short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ChartFormat: TypeAlias = Literal["svg", "png", "pdf"]

COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8AC00")
"""Okabe and Ito 2008, the yellow darkened to be seen on white."""
OTHERS = "#888888"
_FONT = 8.0
_NOTE_WIDTH = 3.9
"""Average width of a letter of a note, in points."""
_SIDE, _LEFT, _BOTTOM, _TOP = 138.0, 46.0, 62.0, 34.0
"""Margins of the plot in points: the legend's column, and space for the axis labels."""
_SIZES = (
    (12, 600, 440, 30),
    (30, 760, 540, 26),
    (70, 1060, 740, 24),
    (140, 1300, 900, 26),
    (1_000_000, 1600, 1120, 28),
)
"""Largest number of networks, then width, height and radius of the largest ball, in points."""
_GROWN = 3
"""How often a chart may grow by a quarter until each name has a position."""
_LOG_FROM = 12.0
"""The axis is logarithmic if the highest cost is at least this many times the lowest."""


class ChartPoint(NamedTuple):
    """One network; `top1` is in percent."""

    name: str
    family: str
    macs: int
    params: int
    top1: float
    sample: str = "image"
    """What the network reads: `image`, `signal`, ..."""

    @property
    def words(self) -> str:
        macs, params = in_short(self.macs), in_short(self.params)
        return f"{self.name}: top-1 {self.top1} %, {macs}MACs, {params}params".replace("  ", " ")


def chart(points: Sequence[ChartPoint], format: ChartFormat = "svg", notes: Sequence[str] = ()) -> bytes:
    """Draw a chart of at least one point, with `notes` below it, one line each.

    Raises E0851 (status 2) if matplotlib is not installed.
    """
    require_package("matplotlib", "E0851")
    from matplotlib import rc_context

    # The same bytes in every run: ids from a fixed salt, no date.
    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "archdsl",
        "pdf.fonttype": 42,
        "font.size": _FONT,
        "font.family": "sans-serif",
        "axes.linewidth": 0.7,
        "text.parse_math": False,
    }
    with rc_context(style):
        figure = _figure(points, notes)
        data = io.BytesIO()
        title = "Accuracy against multiply-accumulates"
        meta = {
            "svg": {"Date": None, "Title": title},
            "png": {"Software": None, "Title": title},
            "pdf": {"CreationDate": None, "Title": title},
        }
        figure.savefig(data, format=format, dpi=144, metadata=meta[format])
    return _titled(data.getvalue(), points) if format == "svg" else data.getvalue()


def _figure(points: Sequence[ChartPoint], notes: Sequence[str]) -> Figure:
    width, height, radius = next(size for most, *size in _SIZES if len(points) <= most)
    scale = radius / sqrt(max(1, *(p.params for p in points)))
    for grown in range(_GROWN + 1):
        factor = 1.25**grown
        drawn, missing = _drawn(points, width * factor, height * factor, scale, notes)
        if not missing:
            break
    return drawn


def _drawn(
    points: Sequence[ChartPoint], width: float, height: float, scale: float, notes: Sequence[str]
) -> tuple[Figure, int]:
    """The chart at a size in points, and the number of names without a position. Radius: `scale * sqrt(params)`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="white")
    inner = (width - _LEFT - _SIDE, height - _BOTTOM - _TOP)
    axes = figure.add_axes((_LEFT / width, _BOTTOM / height, inner[0] / width, inner[1] / height))
    _scales(axes, points, inner, scale)
    colors = family_colors(points)
    balls = _balls(axes, points, scale)
    positions = place_names(balls, *inner)
    for number in sorted(range(len(points)), key=lambda n: -points[n].params):
        _ball(axes, number, points[number], scale, colors)
    for number, (point, ball, at) in enumerate(zip(points, balls, positions, strict=True)):
        if at is not None:
            _name(figure, number, point, ball, at)
    _legend(figure, points, colors, scale, (width, height))
    figure.text(
        _LEFT / width,
        1 - 20 / height,
        "Accuracy against cost; the area of a bubble shows the parameters",
        fontsize=11,
        weight="bold",
    )
    fitting = int((width - _LEFT) / _NOTE_WIDTH)
    for row, note in enumerate(map(escape_control, reversed(notes))):
        short = note if len(note) <= fitting else f"{note[: fitting - 4]} ..."
        figure.text(_LEFT / width, (7 + 9 * row) / height, short, fontsize=7, color="#444444")
    return figure, sum(at is None for at in positions)


# --- the plot --------------------------------------------------------------------------------------------


def _scales(axes: Axes, points: Sequence[ChartPoint], inner: tuple[float, float], scale: float) -> None:
    """Set axis limits with space for the balls at the edge, and a logarithmic axis for a wide range of costs."""
    from math import log10

    costs, tops = [max(p.macs, 1) / 1e9 for p in points], [p.top1 for p in points]
    radius = max(scale * sqrt(p.params) for p in points) + 26
    wide = max(costs) > _LOG_FROM * min(costs)
    seen = [log10(c) for c in costs] if wide else costs
    for low, high, length, limit in (
        (min(seen), max(seen), inner[0], axes.set_xlim),
        (min(tops), max(tops), inner[1], axes.set_ylim),
    ):
        span = max(high - low, abs(high) * 0.05, 1e-6)
        room = span * radius / max(length - 2 * radius, 50.0)
        ends = (low - room, high + room)
        if limit == axes.set_xlim and wide:
            axes.set_xscale("log")
            ends = (10 ** ends[0], 10 ** ends[1])
        limit(
            max(ends[0], 0.0) if limit == axes.set_xlim else ends[0],
            min(ends[1], 100.0) if limit == axes.set_ylim else ends[1],
        )
    samples = {p.sample for p in points}
    sample = samples.pop() if len(samples) == 1 else "input"
    axes.set_xlabel(f"GMACs (10⁹ multiply-accumulates of one {sample}){', logarithmic' if wide else ''}", fontsize=9)
    axes.set_ylabel("published top-1 accuracy, %", fontsize=9)
    if wide:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def family_colors(points: Sequence[ChartPoint]) -> Mapping[str, str]:
    """Return a colour for each family: one each for the families with the most networks, grey for the others."""
    sizes = Counter(p.family for p in points)
    most = [family for family, _ in sizes.most_common(len(COLORS))]
    return {family: COLORS[most.index(family)] if family in most else OTHERS for family in sizes}


def _ball(axes: Axes, number: int, point: ChartPoint, scale: float, colors: Mapping[str, str]) -> None:
    color = colors[point.family]
    diameter = 2 * scale * sqrt(point.params)
    (line,) = axes.plot(
        [max(point.macs, 1) / 1e9],
        [point.top1],
        "o",
        markersize=max(diameter, 0.8),
        clip_on=False,
        markerfacecolor=(*_rgb(color), 0.45),
        markeredgecolor=color,
        markeredgewidth=0.8,
    )
    line.set_gid(f"ball-{number}")


def _rgb(color: str) -> tuple[float, float, float]:
    return int(color[1:3], 16) / 255, int(color[3:5], 16) / 255, int(color[5:7], 16) / 255


def _balls(axes: Axes, points: Sequence[ChartPoint], scale: float) -> list[Ball]:
    """The balls, in points from the lower left corner of the plot, with the sizes of their names."""
    from matplotlib.textpath import TextPath

    left, bottom = axes.transAxes.transform((0, 0))
    out = []
    for point in points:
        x, y = axes.transData.transform((max(point.macs, 1) / 1e9, point.top1))
        size = TextPath((0, 0), escape_control(point.name), size=_FONT).get_extents()
        out.append(Ball(x - left, y - bottom, scale * sqrt(point.params), float(size.width), _FONT))
    return out


def _name(figure: Figure, number: int, point: ChartPoint, ball: Ball, at: NamePosition) -> None:
    """Draw a name and its leader line."""
    from matplotlib.lines import Line2D

    inches = figure.dpi_scale_trans
    if at.leader is not None:
        across, up = (
            ((_LEFT + ball.x) / 72, (_LEFT + at.leader[0]) / 72),
            ((_BOTTOM + ball.y) / 72, (_BOTTOM + at.leader[1]) / 72),
        )
        figure.add_artist(Line2D(across, up, transform=inches, color="#555555", linewidth=0.5, gid=f"leader-{number}"))
        figure.add_artist(Line2D(across[:1], up[:1], transform=inches, color="#555555", marker="o", markersize=1.6))
    figure.text(
        (_LEFT + at.x) / 72,
        (_BOTTOM + at.y) / 72,
        escape_control(point.name),
        transform=inches,
        fontsize=_FONT,
        ha="center",
        va="center",
        color="#111111",
        gid=f"name-{number}",
        bbox={"facecolor": (1, 1, 1, 0.5), "edgecolor": "none", "pad": 0.4},
    )


# --- the legends -----------------------------------------------------------------------------------------


def _legend(
    figure: Figure, points: Sequence[ChartPoint], colors: Mapping[str, str], scale: float, size: tuple[float, float]
) -> None:
    """Draw the legend in a column at the right: the colours of families, and areas with their parameters."""
    width, height = size
    column = figure.add_axes((1 - (_SIDE - 14) / width, 0, (_SIDE - 14) / width, 1))
    column.set_xlim(0, _SIDE - 14)
    column.set_ylim(-height, 0)
    column.axis("off")
    top = -_TOP - 4
    column.text(0, top, "family", fontsize=8, color="#444444", va="center")
    named = [f for f in colors if colors[f] != OTHERS]
    for family in sorted(named, key=lambda f: COLORS.index(colors[f])) + (
        ["others"] if len(named) < len(colors) else []
    ):
        top -= 14
        color = colors.get(family, OTHERS)
        column.plot([6], [top], "o", markersize=8, markerfacecolor=(*_rgb(color), 0.45), markeredgecolor=color)
        column.text(17, top, escape_control(family), fontsize=8, va="center")
    top -= 30
    column.text(0, top, "parameters", fontsize=8, color="#444444", va="center")
    top -= 8
    middle = scale * sqrt(max(p.params for p in points)) + 1
    for params in reference_sizes(max(p.params for p in points)):
        radius = scale * sqrt(params)
        top -= max(radius, 6.0) + 3
        column.plot([middle], [top], "o", markersize=2 * radius, markerfacecolor="none", markeredgecolor="#555555")
        column.text(2 * middle + 6, top, _round(params), fontsize=8, va="center")
        top -= max(radius, 6.0)


def _round(value: int) -> str:
    """A round number in short form: `20M`."""
    power, letter = next((p, c) for p, c in ((10**9, "G"), (10**6, "M"), (10**3, "k"), (1, "")) if value >= p)
    return f"{value // power}{letter}"


def reference_sizes(largest: int) -> tuple[int, ...]:
    """Return up to three round numbers, each about a fifth of the one before: 100M, 20M, 5M."""
    out: list[int] = []
    step = largest
    while step >= 1 and len(out) < 3:
        power = 10 ** (len(str(step)) - 1)
        out.append(next(d for d in (5, 2, 1) if d * power <= step) * power)
        step = out[-1] // 4
    return tuple(out)


def _titled(svg: bytes, points: Sequence[ChartPoint]) -> bytes:
    """Add a title to each ball, which a browser shows as a tooltip."""
    text = svg.decode()
    for number, point in enumerate(points):
        head = f'<g id="ball-{number}">'
        text = text.replace(head, f"{head}<title>{escape(escape_control(point.words))}</title>", 1)
    return text.encode()

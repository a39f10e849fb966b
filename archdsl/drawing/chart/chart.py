"""The ball chart: one figure against another, by default accuracy against multiply-accumulates.

The area of a ball shows
the parameters. The chart follows figure 1 of Bianco et al. 2018, "Benchmark Analysis of Representative Deep Neural
Network Architectures". matplotlib draws it and is imported only for that. Colours (Okabe and Ito's) show families;
every ball also has its name beside it. In SVG and PDF text stays text.
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


_MIB = 2**20


class ChartAxis(NamedTuple):
    """A figure on an axis; `label` is beside the axis, `short` in the title and the tooltips."""

    label: str
    short: str
    unit: float = 1
    """A value divided by it is the number on the axis."""
    percent: bool = False


MACS = ChartAxis("GMACs (10⁹ multiply-accumulates of one {sample})", "MACs", 1e9)
TOP1 = ChartAxis("published top-1 accuracy, %", "top-1 %", percent=True)


class ChartPoint(NamedTuple):
    """One network; `x` and `y` are its figures, in the units of the two axes if divided by theirs."""

    name: str
    family: str
    x: float
    y: float
    params: int
    named: bool = True
    """Whether it is on the front; others are faint and have no name."""


class Plot(NamedTuple):
    """The two axes; `sample` is what the networks read: `image`, `signal`, ...; `front` joins the named points."""

    x: ChartAxis = MACS
    y: ChartAxis = TOP1
    sample: str = "image"
    front: bool = False

    @property
    def title(self) -> str:
        both = "Accuracy against cost" if (self.x, self.y) == (MACS, TOP1) else f"{self.y.short} against {self.x.short}"
        return f"{both[:1].upper()}{both[1:]}; the area of a bubble shows the parameters"

    def words(self, point: ChartPoint) -> str:
        """The tooltip of a point: both figures, and the parameters."""
        figures = {self.y.short: _words(self.y, point.y), self.x.short: _words(self.x, point.x)}
        figures.setdefault("params", f"{in_short(point.params)}params")
        return f"{point.name}: {', '.join(figures.values())}".replace("  ", " ")


def _words(axis: ChartAxis, value: float) -> str:
    if axis.percent:
        return f"{axis.short.removesuffix(' %')} {value} %"
    if axis.unit == _MIB:
        name, _, unit = axis.short.partition(" MiB")
        return f"{name}{unit} {value / axis.unit:,.4g} MiB"
    return f"{in_short(int(value))}{axis.short}" if value == int(value) else f"{value:.4g} {axis.short}"


def chart(
    points: Sequence[ChartPoint], format: ChartFormat = "svg", notes: Sequence[str] = (), plot: Plot = Plot()
) -> bytes:
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
        figure = _figure(points, notes, plot)
        data = io.BytesIO()
        title = plot.title.partition(";")[0]
        meta = {
            "svg": {"Date": None, "Title": title},
            "png": {"Software": None, "Title": title},
            "pdf": {"CreationDate": None, "Title": title},
        }
        figure.savefig(data, format=format, dpi=144, metadata=meta[format])
    return _titled(data.getvalue(), points, plot) if format == "svg" else data.getvalue()


def _figure(points: Sequence[ChartPoint], notes: Sequence[str], plot: Plot = Plot()) -> Figure:
    width, height, radius = next(size for most, *size in _SIZES if sum(p.named for p in points) <= most)
    scale = radius / sqrt(max(1, *(p.params for p in points)))
    for grown in range(_GROWN + 1):
        factor = 1.25**grown
        drawn, missing = _drawn(points, (width * factor, height * factor), scale, notes, plot)
        if not missing:
            break
    return drawn


def _drawn(
    points: Sequence[ChartPoint], size: tuple[float, float], scale: float, notes: Sequence[str], plot: Plot
) -> tuple[Figure, int]:
    """The chart at a size in points, and the number of names without a position. Radius: `scale * sqrt(params)`."""
    from matplotlib.figure import Figure

    width, height = size
    figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="white")
    inner = (width - _LEFT - _SIDE, height - _BOTTOM - _TOP)
    axes = figure.add_axes((_LEFT / width, _BOTTOM / height, inner[0] / width, inner[1] / height))
    _scales(axes, points, inner, scale, plot)
    if plot.front:
        _join(axes, points, plot)
    colors = family_colors(points)
    named = [number for number, point in enumerate(points) if point.named]
    balls = _balls(axes, [points[number] for number in named], scale, plot)
    positions = place_names(balls, *inner)
    for number in sorted(range(len(points)), key=lambda n: (points[n].named, -points[n].params)):
        _ball(axes, number, points[number], scale, colors, plot)
    for number, ball, at in zip(named, balls, positions, strict=True):
        if at is not None:
            _name(figure, number, points[number], ball, at)
    _legend(figure, points, colors, scale, (width, height))
    figure.text(
        _LEFT / width,
        1 - 20 / height,
        plot.title,
        fontsize=min(11.0, (width - _LEFT - 10) / (0.6 * len(plot.title))),
        weight="bold",
    )
    fitting = int((width - _LEFT) / _NOTE_WIDTH)
    for row, note in enumerate(map(escape_control, reversed(notes))):
        short = note if len(note) <= fitting else f"{note[: fitting - 4]} ..."
        figure.text(_LEFT / width, (7 + 9 * row) / height, short, fontsize=7, color="#444444")
    return figure, sum(at is None for at in positions)


# --- the plot --------------------------------------------------------------------------------------------


def _scales(axes: Axes, points: Sequence[ChartPoint], inner: tuple[float, float], scale: float, plot: Plot) -> None:
    """Set axis limits with space for the balls at the edge, and a logarithmic axis for a wide range of figures."""
    radius = max(scale * sqrt(p.params) for p in points) + 26
    for name, axis, length in (("x", plot.x, inner[0]), ("y", plot.y, inner[1])):
        values = [_shown(axis, getattr(p, name)) for p in points]
        wide = not axis.percent and min(values) > 0 and max(values) > _LOG_FROM * min(values)
        if wide:
            getattr(axes, f"set_{name}scale")("log")
            _ticks(getattr(axes, f"{name}axis"))
        low, high = _limits(values, length, radius, wide)
        getattr(axes, f"set_{name}lim")(max(low, 0.0), min(high, 100.0) if axis.percent else high)
        text = axis.label.format(sample=plot.sample) + (", logarithmic" if wide else "")
        getattr(axes, f"set_{name}label")(text, fontsize=9)
    axes.grid(color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _limits(values: Sequence[float], length: float, radius: float, wide: bool) -> tuple[float, float]:
    """The ends of an axis of this length in points, with space for a ball at each."""
    from math import log10

    seen = [log10(value) for value in values] if wide else values
    low, high = min(seen), max(seen)
    span = max(high - low, abs(high) * 0.05, 1e-6)
    room = span * radius / max(length - 2 * radius, 50.0)
    ends = low - room, high + room
    return (10 ** ends[0], 10 ** ends[1]) if wide else ends


def _ticks(axis: Any) -> None:
    """Label a logarithmic axis with 1, 2, 5, 10, 20 and so on."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _shown(axis: ChartAxis, value: float) -> float:
    """The number on an axis; a cost of 0 is drawn as the smallest one."""
    return value if axis.percent else (value if value > 0 else 1) / axis.unit


def _join(axes: Axes, points: Sequence[ChartPoint], plot: Plot) -> None:
    """Draw a line through the points of the front."""
    front = sorted((_shown(plot.x, p.x), _shown(plot.y, p.y)) for p in points if p.named)
    axes.plot(*zip(*front, strict=True), color="#555555", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1.5)


def family_colors(points: Sequence[ChartPoint]) -> Mapping[str, str]:
    """Return a colour for each family: one each for the families with the most networks, grey for the others."""
    sizes = Counter(p.family for p in points)
    most = [family for family, _ in sizes.most_common(len(COLORS))]
    return {family: COLORS[most.index(family)] if family in most else OTHERS for family in sizes}


def _ball(axes: Axes, number: int, point: ChartPoint, scale: float, colors: Mapping[str, str], plot: Plot) -> None:
    color = colors[point.family]
    diameter = 2 * scale * sqrt(point.params)
    (line,) = axes.plot(
        [_shown(plot.x, point.x)],
        [_shown(plot.y, point.y)],
        "o",
        markersize=max(diameter, 0.8),
        clip_on=False,
        markerfacecolor=(*_rgb(color), 0.45 if point.named else 0.08),
        markeredgecolor=color if point.named else (*_rgb(color), 0.35),
        markeredgewidth=0.8 if point.named else 0.5,
    )
    line.set_gid(f"ball-{number}")


def _rgb(color: str) -> tuple[float, float, float]:
    return int(color[1:3], 16) / 255, int(color[3:5], 16) / 255, int(color[5:7], 16) / 255


def _balls(axes: Axes, points: Sequence[ChartPoint], scale: float, plot: Plot) -> list[Ball]:
    """The balls, in points from the lower left corner of the plot, with the sizes of their names."""
    from matplotlib.textpath import TextPath

    left, bottom = axes.transAxes.transform((0, 0))
    out = []
    for point in points:
        x, y = axes.transData.transform((_shown(plot.x, point.x), _shown(plot.y, point.y)))
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


def _titled(svg: bytes, points: Sequence[ChartPoint], plot: Plot) -> bytes:
    """Add a title to each ball, which a browser shows as a tooltip."""
    text = svg.decode()
    for number, point in enumerate(points):
        head = f'<g id="ball-{number}">'
        text = text.replace(head, f"{head}<title>{escape(escape_control(plot.words(point)))}</title>", 1)
    return text.encode()

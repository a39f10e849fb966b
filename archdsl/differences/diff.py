"""Compare two networks: `archdsl.diff`, and its result as text, JSON data, a picture and a page."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

from archdsl.analysis.count import Totals
from archdsl.diagnostics import escape_control
from archdsl.diagnostics.arguments import check_choice, check_mappings, check_type, conflict
from archdsl.differences import report
from archdsl.differences.compare import CarryOver, Change, Fact, GraphDifference, compare_graphs
from archdsl.differences.settings import settings
from archdsl.differences.structure import Equal, aligned, foreign, training_nodes
from archdsl.drawing.model.drawing import LEVELS, Level, View
from archdsl.drawing.request import Diagram, Options, ThemeChoice
from archdsl.files import endings
from archdsl.files.atomic import WrittenFile, atomic_write, check_target
from archdsl.files.overwrite_marks import has_mark, marked
from archdsl.network import Network, as_network
from archdsl.report.shown import ShownAsText
from archdsl.report.table import Style

PictureFormat: TypeAlias = Literal["svg", "html", "png", "pdf", "tex", "pptx", "drawio"]
Format: TypeAlias = Literal["text", "json", "svg", "html", "png", "pdf", "tex", "pptx", "drawio"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: Mapping[str, Format] = {
    ".txt": "text",
    ".md": "text",
    ".htm": "html",
    **{f".{format}": format for format in FORMATS if format != "text"},
}
"""The format of a file by its suffix."""
_ENDINGS = {format: [suffix for suffix, own in SUFFIXES.items() if own == format] for format in FORMATS}


_STRUCTURE: Mapping[str | None, str] = {
    "nodes": "compared by structure: ops, fields, shapes, connections and shared weights, not names\n",
    "inference": "compared by structure at inference, with the norms of both folded into layers; not by names\n",
}


@dataclass(frozen=True, slots=True)
class SavedDifference(WrittenFile):
    """A file with a difference. `note` states what the picture leaves out; it is empty if the picture is complete."""

    format: Format
    note: str


@dataclass(frozen=True, slots=True, repr=False)
class NetworkDifference(ShownAsText):
    """The difference of two networks. `names` are their names in texts and pictures.

    `graphs` has every detail; `settings` are the differences in preprocessing and labels.
    `structure`: what is equal if one network was imported, so that only the structure was compared: all nodes, or those
    at inference, with norms folded into layers. `left_out`: the ops that act in training only, such as `dropout`, that
    one of the two does not have, so that they were not compared, with the name of that one.
    """

    before: Network
    after: Network
    names: tuple[str, str]
    graphs: GraphDifference
    settings: tuple[Fact, ...]
    structure: Equal | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether both are the same network: ops, fields, wiring, names, shapes, preprocessing and labels, as far as
        `structure` and `left_out` do not name what was not compared."""
        return self.graphs.equal and not self.settings

    @property
    def changes(self) -> tuple[Change, ...]:
        """The parts that were added, removed, changed or moved, in the order of the second network."""
        return self.graphs.changes

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Differences of the whole network: outputs, auxiliary heads, preprocessing, labels."""
        return (*self.graphs.facts, *self.settings)

    @property
    def totals(self) -> tuple[Totals, Totals]:
        """Parameters, MACs, memory and depth of both networks."""
        return self.graphs.totals

    @property
    def weights(self) -> CarryOver:
        """How many tensors of the second network fit the weights of the first."""
        return self.graphs.weights

    def text(self, style: Style = Style()) -> str:
        """Return the text that `archdsl diff` prints; it ends with a newline."""
        text = report.text(self.graphs, self.names, self.settings, style) + _STRUCTURE.get(self.structure, "")
        besides = " and ".join(f"{op}, which {escape_control(name)} leaves out" for op, name in self.left_out.items())
        return text.replace("\nno difference:", f"\nno difference besides {besides}:", 1) if besides else text

    def data(self) -> dict[str, object]:
        """Return the JSON data of `archdsl diff --format json`."""
        return {
            **report.as_json(self.graphs, self.names, self.settings),
            "structure": self.structure,
            "left_out": dict(self.left_out),
        }

    def picture(
        self,
        format: PictureFormat = "svg",
        *,
        level: Level = "block",
        theme: ThemeChoice = "auto",
        merged: bool = False,
    ) -> Diagram:
        """Draw both networks side by side, with the changes marked; `html` is a page with the picture and the text.

        With `merged`, one drawing: equal boxes once, each changed box with an old and a new half. If the networks have
        no part in common, or a box of one is part of several boxes of the other, they are drawn side by side, and
        `note` says so. `level` and `theme` are those of `Network.diagram`; a PNG or PDF with theme `auto` is light.
        Raises E0001 for an unknown format, level or theme, E0711 if no layout engine is installed, E0712 if the layout
        takes too long.
        """
        check_choice("format", format, get_args(PictureFormat))
        _check_look(level, theme)
        from archdsl.differences import picture
        from archdsl.drawing.scene.write import FORMATS

        options = Options(theme=theme)
        painter = picture.painter(self.graphs, self.names, View(level), options, merged, self.settings)
        drawn = FORMATS["svg" if format == "html" else format](painter, options)
        if format == "html":
            from archdsl.differences.page import page

            title = f"{self.names[0]} -> {self.names[1]}"
            return drawn._replace(data=page(title, drawn.data.decode(), self.text()).encode())
        return drawn

    def save(
        self,
        path: str | os.PathLike[str],
        format: Format | None = None,
        *,
        level: Level = "block",
        theme: ThemeChoice = "auto",
        merged: bool = False,
        force: bool = False,
    ) -> SavedDifference:
        """Write the difference to a file, completely or not at all.

        `format` defaults to the format of the suffix, or text. A picture that archdsl wrote is replaced, any other
        file only with `force`. Raises as `render`, and E0701 to E0704 if the file cannot be written.
        """
        inputs = [*self.before.files, *self.after.files]
        check_target(path, inputs=inputs, force=True)  # the name of an input or a folder is worse than its suffix
        format = format_of(path, format)
        _check_look(level, theme)
        replaceable = None if format in ("text", "json") else has_mark("drawing")
        check_target(path, inputs=inputs, force=force, replaceable=replaceable)
        content = self.render(format, level=level, theme=theme, merged=merged)
        with atomic_write(path, inputs=inputs, force=force, replaceable=replaceable) as file:
            file.write(content.data)
        assert file.written is not None
        return SavedDifference(file.written.path, file.written.size, format, content.note)

    def render(
        self, format: Format, *, level: Level = "block", theme: ThemeChoice = "auto", merged: bool = False
    ) -> Diagram:
        """Return the bytes that `save` writes in this format. Raises as `picture`, and E0003 for a `merged` text."""
        check_choice("format", format, FORMATS)
        if merged and format in ("text", "json"):
            raise conflict("only a picture can be `merged`", help="write a picture: --format svg, -o FILE.png")
        if format == "text":
            return Diagram(self.text().encode())
        if format == "json":
            return Diagram((json.dumps(self.data(), indent=2) + "\n").encode())
        drawn = self.picture(format, level=level, theme=theme, merged=merged)
        return drawn._replace(data=marked(drawn.data, format))


def format_of(path: str | os.PathLike[str] | None, format: str | None = None) -> Format:
    """Return `format`, or the format of the path's suffix, or text without one. Raises E0001 for an unknown one,
    E0003 if they differ."""
    if format is not None:
        check_choice("format", format, FORMATS)
    return endings.format_of(path, cast("Format | None", format), _ENDINGS) or "text"


def _check_look(level: str, theme: str) -> None:
    check_choice("level", level, LEVELS)
    check_choice("theme", theme, get_args(ThemeChoice))


def diff(
    a: str | Path | Network,
    b: str | Path | Network,
    *,
    args: Mapping[str, object] | None = None,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    input: str | Sequence[int] | None = None,
    names: tuple[str, str] | None = None,
) -> NetworkDifference:
    """Compare network `a` with network `b`: blocks, costs, and which weights carry over.

    Each is a SPEC, an ONNX file or a `Network`; one that was imported is compared by structure, not by names. Of specs
    only the networks are compared, not the texts. `args` and `input` are those of
    `load`, for both; `before` sets arguments of `a` only, `after` of `b` only. `names` replace the names of the two
    networks in texts and pictures. Raises E0003 for arguments that exclude each other, E0205 for an unknown SPEC, and
    the other errors of specs.
    """
    check_mappings(args=args, before=before, after=after)
    if names is not None and not (isinstance(names, tuple) and len(names) == 2):
        check_type("names", names, "two names")
    if a == b == "-":
        raise conflict("cannot read both networks from standard input", help="give one of them as a file")
    old = as_network(a, {**(args or {}), **(before or {})}, input)
    new = as_network(b, {**(args or {}), **(after or {})}, input)
    names = names or _names(a, b, old, new)
    if foreign(old) or foreign(new):  # it has other names, and neither labels nor preprocessing
        alignment = aligned(old, new)
        if alignment is not None:
            training = training_nodes(old, new)
            facts = tuple(Fact(op, was, now) for op, was, now in training if was and now and was != now)
            missing = {op: names[bool(was)] for op, was, now in training if bool(was) != bool(now)}
            graphs = compare_graphs(old.graph, old.graph)
            return NetworkDifference(old, new, names, graphs, facts, alignment.level, missing)
        return NetworkDifference(old, new, names, compare_graphs(old.graph, new.graph), ())
    return NetworkDifference(old, new, names, compare_graphs(old.graph, new.graph), settings(old, new))


def _names(a: str | Path | Network, b: str | Path | Network, old: Network, new: Network) -> tuple[str, str]:
    """The names of the networks; if they are equal, the SPECs; else the name with before and after."""
    specs = tuple(source.name if isinstance(source, Network) else str(source) for source in (a, b))
    for first, second in ((old.name, new.name), specs):
        if first != second:
            return first, second
    return f"{old.name} (before)", f"{new.name} (after)"

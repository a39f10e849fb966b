"""Answers a whole file in the notation of another tool: Caffe, Darknet, Ultralytics, Python."""

from __future__ import annotations

import re

from archdsl.diagnostics import ArchError, Source, Span, error
from archdsl.language.foreign import Context, answered, number, said
from archdsl.language.foreign.convert import Unknown, convert
from archdsl.language.foreign.layers import ROWS, find
from archdsl.language.read_nodes import readable
from archdsl.source import Map, Scalar, Seq

_PYTHON = re.compile(r"^(?:import|from) (?:torch|keras|tensorflow)\b|^class \w+\((?:\w+\.)*Module\)", re.MULTILINE)
_CAFFE = re.compile(r"^layers?\s*\{", re.MULTILINE)
_DARKNET = re.compile(r"^(\[[a-z]+\])\s*\n((?:\s*[\w.-]+\s*=.*\n?|\s*#.*\n|\s*\n)*)", re.MULTILINE)
_READ = 20_000
"""Characters of a file that are searched for its first layer."""


def of_text(source: Source, problem: ArchError) -> ArchError:
    """Return an error that answers a text which is not YAML; `problem` if it is in no notation that is known."""
    text, first = source.text[:_READ], problem.diagnostics[0]
    if _PYTHON.search(text):
        help_ = "`archdsl import` converts a PyTorch module or an ONNX file to a spec"
        return error("E0318", "this file is Python, not a spec", Span(source, 0, len(source.line_text(1))), help=help_)
    if first.code == "E0113" and first.span is not None:  # a call inside brackets
        call = Scalar(first.span.text, first.span.text, first.span, offset=first.span.start)
        return answered(problem.diagnostics, call, Context(readable)) or problem
    try:
        return _caffe(source, text) or _darknet(source, text) or problem
    except (Unknown, ValueError, TypeError):
        return problem


def of_tree(tree: Map) -> ArchError | None:
    """Return an error for a model file of Ultralytics: its rows are under `backbone` and `head`."""
    rows = tree.get("backbone")
    if not isinstance(rows, Seq) or not rows.items or "net" in tree.entries:
        return None
    problem = answered(error("E0202", "", rows.items[0].span).diagnostics, rows.items[0], Context(readable))
    if problem is None:
        return None
    node = problem.diagnostics[0].help.removeprefix("write ")
    return _file("Ultralytics", tree.entries["backbone"].key.span, "row", f"the first is {node}")


def _file(tool: str, span: Span, what: str, example: str) -> ArchError:
    help_ = f"write each {what} as a node under `net:`; {example}"
    return error("E0318", f"this file is in the notation of {tool}", span, help=help_)


def _caffe(source: Source, text: str) -> ArchError | None:
    """The first layer of a prototxt that stands for an op."""
    for match in _CAFFE.finditer(text):
        start = match.start()
        pairs = re.findall(r"(\w+)\s*:\s*(\"[^\"]*\"|[^\s{}]+)", _CAFFE.split(text[start:], maxsplit=2)[1])
        fields = {name: number(item.strip('"')) for name, item in pairs}
        row, name = find(str(fields.pop("type", ""))), fields.pop("name", "layer")
        if row is not None and row.tool == "Caffe":
            answer = said(convert(row, (), fields))
            return _file("Caffe", Span(source, start, start + 5), "layer", f"`{name}` is `{answer.write}`{answer.note}")
    return None


def _darknet(source: Source, text: str) -> ArchError | None:
    """The first section of a Darknet file that stands for an op, and the input."""
    size: dict[str, object] = {}
    for match in _DARKNET.finditer(text):
        fields = {name: number(item) for name, item in re.findall(r"([\w.-]+)\s*=\s*(\S+)", match[2])}
        if match[1] in ROWS:
            answer = said(convert(ROWS[match[1]], (), fields))
            given = f"`input` is `{size.get('channels')}x{size.get('height')}x{size.get('width')}`, " if size else ""
            first = f"{given}the first `{match[1]}` is `{answer.write}`{answer.note}"
            return _file("Darknet", Span(source, match.start(1), match.end(1)), "section", first)
        size = fields if match[1] in ("[net]", "[network]") and "channels" in fields else size
    return None

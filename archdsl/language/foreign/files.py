"""Answers a file that is not YAML: Caffe, Darknet, Python."""

from __future__ import annotations

import re

from archdsl.diagnostics import ArchError, Proposal, Source, Span, error
from archdsl.language.foreign import Context, answered
from archdsl.language.foreign.calls import Call, Unknown, fields_in
from archdsl.language.foreign.convert import convert
from archdsl.language.foreign.layers import find
from archdsl.language.read_nodes import readable
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Scalar

_PYTHON = re.compile(r"^(?:import|from) (?:torch|keras|tensorflow)\b|^class \w+\((?:\w+\.)*Module\)", re.MULTILINE)
_SECTIONS = (
    (
        "Caffe",
        "layer",
        re.compile(r"^(?P<head>layers?)\s*\{(?P<fields>.*?)(?=^layers?\s*\{|\Z)", re.MULTILINE | re.DOTALL),
    ),
    ("Darknet", "section", re.compile(r"^(?P<head>\[[a-z]+\])\s*\n(?P<fields>(?:[^\[\n].*\n?|\n)*)", re.MULTILINE)),
)
_READ = 20_000
"""Characters of a file that are searched for its first layer."""


def answer_file(source: Source, problem: ArchError) -> ArchError:
    """Return an error that answers a text which is not YAML; `problem` if it is in no notation that is known."""
    text, first = source.text[:_READ], problem.diagnostics[0]
    if _PYTHON.search(text):
        help_ = "`archdsl import` converts a PyTorch module or an ONNX file to a spec"
        return error("E0318", "this file is Python, not a spec", Span(source, 0, len(source.line_text(1))), help=help_)
    if first.code == "E0113" and first.span is not None:  # a call inside brackets
        call = Scalar(first.span.text, first.span.text, first.span, offset=first.span.start)
        return answered(problem.diagnostics, call, Context(readable)) or problem
    if first.code == "E0101" and first.span is not None and first.message == "this key has no `:`":
        line = source.line_text(first.span.line).strip()
        op = next((word for word in line.split() if word in OPS_BY_NAME), "")
        if op and readable(line):
            help_ = Proposal(f"a node needs a name: write `{op}: {line}`", f"{op}: {first.span.text}", first.span.text)
            return error("E0101", first.message, first.span, help=help_)
    try:
        return _first_layer(source, text) or problem
    except (Unknown, ValueError, TypeError, ArithmeticError, LookupError):
        return problem


def _first_layer(source: Source, text: str) -> ArchError | None:
    """The first layer of a Caffe or Darknet file that stands for an op, and the input if a section has its size."""
    size = ""
    for tool, what, pattern in _SECTIONS:
        for match in pattern.finditer(text):
            fields = fields_in(match["fields"])
            kind, name = str(fields.pop("type", match["head"])), fields.pop("name", f"the first `{match['head']}`")
            row = find(kind)
            if {"channels", "height", "width"} <= fields.keys():
                size = f"`input` is `{fields['channels']}x{fields['height']}x{fields['width']}`, "
            elif row is not None and row.tool == tool:
                answer = convert(Call(kind, (), fields)).answer()
                name = name if " " in name else f"`{name}`"
                help_ = f"write each {what} as a node under `net:`; {size}{name} is `{answer.write}`{answer.note}"
                span = Span(source, *match.span("head"))
                return error("E0318", f"this file is in the notation of {tool}", span, help=help_)
    return None

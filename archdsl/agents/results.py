"""What the tools answer: data with a JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from archdsl.diagnostics import Diagnostic
from archdsl.diagnostics.machine import to_json


class Edit(BaseModel):
    """Replace the characters from line and column (from 1) to the end (exclusive) by `text`."""

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


class Fix(BaseModel):
    """A repair. A `safe` one has one reading and keeps what was valid."""

    title: str
    safe: bool
    edits: list[Edit]


class Problem(BaseModel):
    """An error, a warning or a note. Lines and columns count from 1; the end is exclusive."""

    code: str
    severity: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None
    notes: list[str] = []
    help: str | None = None
    fixes: list[Fix] = []


def problems_of(diagnostics: Iterable[Diagnostic]) -> list[Problem]:
    """Return diagnostics as data."""
    return [Problem.model_validate(data) for data in to_json(tuple(diagnostics))]


class Failed(BaseModel):
    """Why a tool gave no answer: the text that the command line prints, and its data."""

    text: str
    problems: list[Problem]


class Checked(BaseModel):
    """`ok`: the spec has no error. `claims`: of each network, its published figures and whether they are met."""

    ok: bool
    networks: list[str]
    problems: list[Problem]
    claims: dict[str, list[str]]


class Part(BaseModel):
    """A node, or a block with all its layers; `copies` equal ones in a row share an entry, with the sum of their costs.

    `output` is the shape without the batch, channels first. A value of None is unknown, because of an error.
    `receptive_field`: the size of each axis in pixels of the input, None for the whole input. `line`: of the spec.
    """

    path: str
    copies: int
    op: str
    output: list[int] | None
    params: int | None
    macs: int | None
    receptive_field: list[int] | None
    line: int | None


class Counted(BaseModel):
    """A network's parts and totals. `complete` is false if the spec has errors: totals are then lower bounds.

    `omitted`: how many further parts there are. `convention`: how MACs and memory are counted.
    """

    name: str
    complete: bool
    inputs: dict[str, list[int]]
    outputs: dict[str, list[int]]
    totals: dict[str, int]
    parts: list[Part]
    omitted: int
    convention: str
    problems: list[Problem]


class Explained(BaseModel):
    """The page of a code, in Markdown."""

    code: str
    title: str
    text: str


class Compared(BaseModel):
    """The changes from one network to another. `data` has every change with its costs before and after."""

    equal: bool
    text: str
    data: dict[str, Any]


class Listed(BaseModel):
    """Networks of the library with their costs. `total` of them match; the first are listed."""

    networks: list[dict[str, Any]]
    total: int


class Expanded(BaseModel):
    """A spec of the same network."""

    text: str
    notes: list[Problem]


class Drawn(BaseModel):
    """A drawing: `alt` and `caption` are texts for a document, `note` says how it was simplified."""

    alt: str
    caption: str
    note: str


class Pictured(Drawn):
    """A drawing with its SVG text and its PNG in base64; empty if it was not asked for."""

    svg: str = ""
    png: str = ""

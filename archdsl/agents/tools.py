"""The tools of `archdsl mcp` as functions. Their docstrings and types are what an agent reads.

Every tool only reads. Texts are at most `MAX_TEXT` characters: agents pay for each of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from archdsl.agents.results import (
    Checked,
    Compared,
    Counted,
    Expanded,
    Explained,
    Listed,
    Part,
    Pictured,
    problems_of,
)
from archdsl.agents.specs import network_of, source_of
from archdsl.analysis.summary import Row, summarize
from archdsl.diagnostics import error
from archdsl.explain import page
from archdsl.graph import Graph
from archdsl.report.words import part_written
from archdsl.shapes import concrete

MAX_TEXT = 400_000
MAX_PARTS = 500
PNG_DPI = 96

Spec = Annotated[
    str,
    Field(
        description="The YAML text of a spec, or a network of the library: `resnet50`, `resnet50#resnet18`. "
        "If the server was started with a root, also a spec file below it."
    ),
]
Input = Annotated[str | None, Field(description="Another input size: `3x320x320`.")]
Args = Annotated[dict[str, Any] | None, Field(description="Arguments of the spec: `{classes: 3}`.")]
Level = Literal["network", "block", "layer"]


def check(spec: Spec) -> Checked:
    """Report everything that is wrong with a spec, its variants and its claims: line, column, message, help, fixes.

    Call it after every change of a spec, until `ok` is true.
    """
    from archdsl.library import check as checks

    source, variant = source_of(spec)
    if variant is not None:
        report = checks.check(f"{source.path}#{variant}").specs[0]
    else:
        *_, (report, _) = checks.check_source(source)
    claims = {name: [str(verdict) for verdict in verdicts] for name, verdicts in report.verdicts.items()}
    return Checked(
        ok=not report.status,
        networks=[*report.networks],
        problems=problems_of(report.diagnostics),
        claims=claims,
    )


def params(
    spec: Spec,
    input: Input = None,
    args: Args = None,
    depth: Annotated[int, Field(ge=0, le=64, description="Levels of nested blocks with entries of their own.")] = 1,
    every_node: Annotated[bool, Field(description="An entry for each node, instead of `depth`.")] = False,
    within: Annotated[str, Field(description="Only parts whose path starts with this: `layer3.`")] = "",
) -> Counted:
    """Return the output shape, parameters, MACs and receptive field of each part of a network, and the totals.

    A spec with errors gives what is known, and its `problems`.
    """
    network = network_of(spec, args, input, partial=True)
    graph = network.graph
    summary = summarize(graph, depth, every_node)
    rows = [row for row in (*summary.rows, *summary.aux_rows) if row.part.path.startswith(within)]
    return Counted(
        name=network.name,
        complete=network.complete,
        inputs={graph.nodes[i].path: _shape(graph, i) for i in graph.inputs},
        outputs={name: _shape(graph, i) for name, i in graph.outputs.items() if graph.nodes[i].known},
        totals=summary.totals._asdict(),
        parts=[_part(graph, row) for row in rows[:MAX_PARTS]],
        omitted=max(len(rows) - MAX_PARTS, 0),
        convention=summary.convention,
        problems=problems_of(network.problem.diagnostics if network.problem else network.notes),
    )


def _shape(graph: Graph, node: int) -> list[int]:
    return list(concrete(graph.nodes[node].shape))


def _part(graph: Graph, row: Row) -> Part:
    part, first = row.part, graph.nodes[row.part.ids.start].origin.span
    return Part(
        path=part.path,
        copies=len(part.copies),
        op=part_written(graph, part),
        output=list(concrete(row.shape)) if row.known else None,
        params=row.params if row.known else None,
        macs=row.macs if row.known else None,
        receptive_field=None if row.field is None else list(row.field),
        line=first.line if first.source.text else None,
    )


def explain(code: Annotated[str, Field(description="A code of a problem, such as `E0412`.")]) -> Explained:
    """Explain a code: the rule and its reason, a wrong spec and the corrected spec."""
    entry = page(code)
    return Explained(code=entry.code, title=entry.title, text=entry.text)


def diff(before: Spec, after: Spec, input: Input = None, args: Args = None) -> Compared:
    """Report the changes from one network to another: blocks, costs, and which weights can be reused."""
    from archdsl.differences.diff import diff as compare

    difference = compare(network_of(before, args, input), network_of(after, args, input))
    data = difference.data()
    _fitting(str(data))
    return Compared(equal=difference.equal, text=_fitting(difference.text()), data=data)


def list_networks(
    patterns: Annotated[list[str], Field(description="Names: `resnet*`.")] = [],
    family: Annotated[list[str], Field(description="Families: `resnet`.")] = [],
    task: Annotated[list[str], Field(description="Tasks: `classification`, `segmentation`.")] = [],
    year: Annotated[str | None, Field(description="`2015`, `2014-2016`, `2019-`.")] = None,
    max_params: Annotated[str | None, Field(description="`10M`.")] = None,
    max_macs: Annotated[str | None, Field(description="`1.5G`.")] = None,
    min_top1: Annotated[float | None, Field(description="Published top-1 accuracy in percent.")] = None,
    axes: Annotated[int | None, Field(description="0 for vectors, 1 signals, 2 images, 3 volumes.")] = None,
    sort: Annotated[str, Field(description="A column: `params`, `macs`, `top1`, `year`.")] = "name",
    reverse: bool = False,
    most: Annotated[int, Field(ge=1, le=500, description="List at most so many networks.")] = 50,
) -> Listed:
    """List networks of the library with their costs and published accuracy. Each name is a spec for other tools."""
    from archdsl.library.list import list as listing

    found = listing(
        *patterns,
        family=family,
        task=task,
        year=year,
        max_params=max_params,
        max_macs=max_macs,
        min_top1=min_top1,
        axes=axes,
        sort=sort,
        reverse=reverse,
    )
    rows = found.to_json()[:most]
    return Listed(
        networks=[{key: fact for key, fact in row.items() if fact is not None} for row in rows], total=len(found)
    )


def expand(
    spec: Spec,
    form: Annotated[
        Literal["written", "long", "flat"],
        Field(description="`written`: as it is; `long`: its long form; `flat`: unrolled, with all inferred values."),
    ] = "long",
    input: Input = None,
    args: Args = None,
) -> Expanded:
    """Return the text of a network. `written` shows how a network of the library is written, as an example."""
    from archdsl.backends.spec.rewrite import expanded

    if form == "written":
        return Expanded(text=source_of(spec)[0].text, notes=[])
    network = network_of(spec, args, input)
    result = expanded(network.document, network.graph, network.args, form == "flat", network.files)
    return Expanded(text=_fitting(result.text), notes=problems_of(result.notes))


def diagram(
    spec: Spec,
    level: Level = "block",
    style: Annotated[
        Literal["graph", "volumes", "article", "sheets"],
        Field(description="`graph`: boxes and arrows; `volumes`: 3-D boxes; `article`: one block explained."),
    ] = "graph",
    focus: Annotated[str, Field(description="The path of the one block to draw.")] = "",
    formats: Annotated[list[Literal["svg", "png"]], Field(min_length=1)] = ["svg", "png"],
    input: Input = None,
    args: Args = None,
) -> Pictured:
    """Draw a network: SVG text to save in a file, and a PNG to look at."""
    from base64 import b64encode

    picture = network_of(spec, args, input).diagram(level, style, focus, theme="light")
    return Pictured(
        alt=picture.alt,
        caption=picture.caption,
        note=picture.note,
        svg=_fitting(picture.svg) if "svg" in formats else "",
        png=b64encode(picture.png(PNG_DPI)).decode() if "png" in formats else "",
    )


def _fitting(text: str) -> str:
    """Return the text. Raises E0891 if it is too long for an answer."""
    if len(text) > MAX_TEXT:
        message = f"the answer has {len(text):,} characters; the limit is {MAX_TEXT:,}"
        raise error("E0891", message, status=2, help="ask for less detail, or use the command line")
    return text


TOOLS = {"list": list_networks} | {tool.__name__: tool for tool in (check, params, explain, diff, expand, diagram)}
"""The tools by name."""

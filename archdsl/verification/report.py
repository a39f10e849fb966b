"""The result of a verification: as an object, as text and as JSON data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.diagnostics import Diagnostic, escape_control
from archdsl.network import Network
from archdsl.report.shown import ShownAsText
from archdsl.report.table import Style

if TYPE_CHECKING:
    from archdsl.verification.certificate import Certificate
    from archdsl.verification.compare import ArtefactResult, NodeComparison, NodeResult, Overflow
    from archdsl.verification.file_runs import FileRun, OutputDeviation
    from archdsl.verification.tolerance import Deviation

ARTEFACTS: Mapping[str, str] = {"module": "PyTorch module", "source": "generated source", "onnx": "ONNX file"}
"""The titles of the artefacts, by their names in results and JSON."""


@dataclass(frozen=True, slots=True)
class CertificateCheck:
    """The check of the model's certificate.

    `previous` is the certificate that the file had before this run, or None; `mismatches` lists what does not match it
    (`file contents`, `external data`, `spec`, `weights`); `written`: this run wrote a new certificate.
    """

    previous: Certificate | None
    mismatches: tuple[str, ...]
    written: bool

    @property
    def matches(self) -> bool:
        """Whether the file had a certificate and matches it."""
        return self.previous is not None and not self.mismatches


@dataclass(frozen=True, slots=True, repr=False)
class Verification(ShownAsText):
    """The result of `archdsl.verify`.

    `model` is the ONNX file, None if it was compiled for this run only; `certificate` is the check of its certificate,
    None without a file. `weights` names the source of the weights. `file_runs` are runs of the unchanged ONNX file at
    several batch and input sizes. `problems` are a diagnostic for each artefact with a node or an output that exceeds
    its tolerance (E0821), for a certificate that does not match (E0822), and for values that overflow (E0824).
    """

    network: Network
    model: Path | None
    seed: int
    batch: int
    weights: str
    comparison: NodeComparison
    file_runs: tuple[FileRun, ...]
    certificate: CertificateCheck | None
    problems: tuple[Diagnostic, ...]
    versions: Mapping[str, str]
    """The versions of the packages that the result depends on."""

    @property
    def passed(self) -> bool:
        """Whether every node and output is within its tolerance, and the certificate, if there is one, matches."""
        return not self.problems

    @property
    def nodes(self) -> tuple[NodeResult, ...]:
        """Each node that was compared, in execution order, with its deviation in each artefact."""
        return self.comparison.nodes

    @property
    def absent(self) -> tuple[str, ...]:
        """Paths of the nodes that the ONNX file does not have: folded into others, or not needed at inference."""
        return self.comparison.absent

    @property
    def worst(self) -> Mapping[str, ArtefactResult]:
        """The worst node of each artefact that was compared, by the names of `ARTEFACTS`."""
        results = {name: self.comparison.worst(name) for name in ARTEFACTS}
        return {name: result for name, result in results.items() if result is not None}

    def data(self) -> dict[str, object]:
        """Return the JSON data of `archdsl verify --format json`."""
        return _data(self)

    def text(self, every: bool = False, style: Style = Style()) -> str:
        """Return a line for each artefact, with `every` also for each node, and the state of the certificate."""
        return "\n".join(_lines(self, every, style)) + "\n"


# --- diagnostics ----------------------------------------------------------------------------------------------


def node_problems(network: Network, comparison: NodeComparison) -> list[Diagnostic]:
    """Return E0821 for each artefact with a node that exceeds its tolerance; it names the first such node."""
    problems = []
    for artefact, title in ARTEFACTS.items():
        first, worst = comparison.first_failing(artefact), comparison.worst(artefact)
        if first is not None and worst is not None:
            more = f", the first of {worst.exceeded} nodes that exceed it" if worst.exceeded > 1 else ""
            problems.append(
                Diagnostic(
                    "E0821",
                    f"`{first.path}` of the {title} does not compute what the spec says",
                    network.graph.by_path[first.path].origin.span,
                    label=_difference(first.deviations[artefact]) + more,
                )
            )
    return problems


def _difference(deviation: Deviation) -> str:
    channel = "" if deviation.channel is None else f" in channel {deviation.channel}"
    return f"differs by {deviation.difference:.1e}{channel}; the tolerance is {deviation.tolerance:.1e}"


def run_problems(network: Network, comparison: NodeComparison, runs: Sequence[FileRun]) -> list[Diagnostic]:
    """Return E0821 for each artefact that cannot be run, or with an output that exceeds its tolerance.

    An output is not reported if a node of the artefact exceeds its tolerance: the node is the reason.
    """
    problems = []
    for artefact, title in ARTEFACTS.items():
        run = next((run for run in runs if artefact in run.outputs and run.outputs[artefact].exceeded), None)
        if run is not None and (run.outputs[artefact].failure or comparison.first_failing(artefact) is None):
            how = "the unchanged ONNX file" if artefact == "onnx" else f"the {title}"
            problems.append(_run_problem(network, run, run.outputs[artefact], how))
    return problems


def _run_problem(network: Network, run: FileRun, output: OutputDeviation, how: str) -> Diagnostic:
    if output.failure:
        return Diagnostic("E0821", f"{how} fails at {run.title}", notes=(output.failure,))
    span = network.graph.nodes[network.graph.outputs[output.output]].origin.span
    named = "the output" if len(network.graph.outputs) == 1 else f"the output `{output.output}`"
    message = f"{named} of {how} at {run.title} is not what the spec says"
    return Diagnostic("E0821", message, span, label=_difference(output.deviation))


def overflow_problems(
    network: Network, comparison: NodeComparison, runs: Sequence[FileRun], weights: str
) -> list[Diagnostic]:
    """Return E0824 for the first overflow of each type. `weights` is the source of the weights."""
    overflows = [*comparison.overflows.values(), *(run.overflow for run in runs if run.overflow is not None)]
    first = {overflow.dtype: overflow for overflow in reversed(overflows)}
    return [_overflow_problem(network, overflow, weights) for overflow in first.values()]


def _overflow_problem(network: Network, overflow: Overflow, weights: str) -> Diagnostic:
    from archdsl.verification.tolerance import LARGEST

    dtype, random, node = overflow.dtype, weights.startswith("random"), network.graph.by_path[overflow.path]
    weighted = any(param.trained for node in network.nodes for param in node.params)
    given = f"with {'random' if random else 'these'} weights, " if weighted else ""
    limit = f"the largest {dtype} number is {LARGEST[dtype]:.1e}"
    too_large = overflow.largest > LARGEST[dtype]
    reach = f"its values reach {overflow.largest:.1e}" if too_large else "an intermediate result is too large"
    if dtype != "float32":
        help = "compile and verify the network in fp32"
    elif not weighted:
        help = "write smaller constants in the spec"
    elif random:
        smaller = "{key: value / 2 if value.ndim > 1 else value for key, value in net.weights().items()}"
        help = (
            "verify with trained weights, `--weights FILE`, or with smaller random ones, in Python:\n"
            f"archdsl.verify(net, weights={smaller})"
        )
    else:
        help = "verify with smaller weights"
    if weighted and dtype == "float32" and node.op.name == "affine":
        help = f"write a smaller constant in the spec, or {help}"
    return Diagnostic(
        "E0824",
        f"{given}the values overflow {dtype} at `{overflow.path}`",
        node.origin.span,
        label=f"{reach}; {limit}",
        notes=("nodes that read infinite values cannot be compared",),
        help=help,
    )


def file_problems(model: Path, fixed: Sequence[str], other_spec: bool) -> list[Diagnostic]:
    """Return E0821 for `fixed`, axes that the file should leave free, and E0822 for another spec in its metadata."""
    problems = []
    if fixed:
        message = f"`{model.name}` fixes {', '.join(fixed)}; it was compiled to leave that free"
        problems.append(Diagnostic("E0821", message, help="compile the network again"))
    if other_spec:
        message = f"the spec in the metadata of `{model.name}` is not the spec that the file is compared with"
        help = "compile the network again, or verify the file without a SPEC"
        problems.append(Diagnostic("E0822", message, help=help))
    return problems


def certificate_problem(model: Path, mismatches: tuple[str, ...]) -> Diagnostic:
    """Return E0822: the certificate does not match."""
    return Diagnostic(
        "E0822",
        f"the certificate in `{model.name}` does not match the {' and the '.join(mismatches)}",
        help="`--renew` replaces it if every node is within its tolerance",
    )


# --- text -----------------------------------------------------------------------------------------------------


def _lines(result: Verification, every: bool, style: Style) -> list[str]:
    title = style.paint("head", escape_control(result.network.name))
    size, weights = result.network.graph.input_spec, escape_control(result.weights[:200])
    lines = [f"{title}  {result.batch} x {size}, seed {result.seed}, weights {weights}", ""]
    if every:
        lines += [*_node_lines(result.nodes, style), ""]
    lines.append(style.paint("head", f"{'':<16}{'nodes':>6}  {'largest':>9}  {'tolerance':>9}  at"))
    lines += [_artefact_line(title, result, name) for name, title in ARTEFACTS.items()]
    lines.append("")
    if result.absent:
        named = ", ".join(map(escape_control, result.absent[:3])) + (" .." if len(result.absent) > 3 else "")
        absent = "1 node is" if len(result.absent) == 1 else f"{len(result.absent)} nodes are"
        lines.append(f"{absent} not in the ONNX file: folded into others, or not needed at inference: {named}")
    if foreign := result.comparison.foreign:
        named = ", ".join(escape_control(name[:80]) for name in foreign[:3]) + (" .." if len(foreign) > 3 else "")
        lines.append(f"nodes of the file that belong to no node of the spec, not compared: {len(foreign)}: {named}")
    if result.file_runs:
        lines += ["", *_run_lines(result.file_runs, style), ""]
    return [*lines, _verdict(result), *_certificate_lines(result)]


def _run_lines(runs: Sequence[FileRun], style: Style) -> list[str]:
    """A line for each run of the whole network."""
    width = max(len("outputs"), *(len(run.title) for run in runs))
    titles = ("PyTorch module", "ONNX file unchanged")
    lines = [style.paint("head", "  ".join([f"{'outputs':<{width}}", *(f"{title:>19}" for title in titles)]))]
    for run in runs:
        cells = [_output_cell(run, artefact) for artefact in ("module", "onnx")]
        lines.append("  ".join([f"{escape_control(run.title):<{width}}", *(f"{cell:>19}" for cell in cells)]))
    return lines


def _output_cell(run: FileRun, artefact: str) -> str:
    if run.overflow is not None:
        return "overflow"
    output = run.outputs.get(artefact)
    if output is None:
        return "-"
    return "FAILS" if output.failure else _cell(output.deviation) + (" OVER" if output.exceeded else "")


def _verdict(result: Verification) -> str:
    if not result.comparison.within:
        return "not every node is within its tolerance"
    if any(output.exceeded for run in result.file_runs for output in run.outputs.values()):
        return "every node is within its tolerance, but not every output of the whole network"
    if overflow := next(iter(result.comparison.overflows.values()), None):
        return f"every node before the overflow at `{escape_control(overflow.path)}` is within its tolerance"
    if run := next((run for run in result.file_runs if run.overflow is not None), None):
        return f"every node is within its tolerance, but the values overflow at {escape_control(run.title)}"
    return "every node is within its tolerance" + (", and every output" if result.file_runs else "")


def _artefact_line(title: str, result: Verification, artefact: str) -> str:
    worst = result.worst.get(artefact)
    if worst is None and artefact in result.comparison.overflows:
        return f"{title:<16}{'-':>6}  not compared: its first node overflows"
    if worst is None:
        empty = artefact == "onnx"
        why = "it has no node of the spec, only outputs" if empty else "the file has only folded weights; add --weights"
        return f"{title:<16}{'-':>6}  not compared: {why}"
    channel = "" if worst.channel is None else f", channel {worst.channel}"
    verdict = f"  {worst.exceeded} OVER THE TOLERANCE" if worst.exceeded else ""
    figures = f"{worst.nodes:>6}  {worst.difference:>9.2e}  {worst.tolerance:>9.2e}"
    return f"{title:<16}{figures}  {escape_control(worst.path)}{channel}{verdict}"


def _certificate_lines(result: Verification) -> list[str]:
    check = result.certificate
    if check is not None and check.written:
        return [f"certificate written into {escape_control(str(result.model))}"]
    return ["the certificate matches"] if check is not None and check.matches and result.passed else []


def _node_lines(nodes: tuple[NodeResult, ...], style: Style) -> list[str]:
    width = max((len(node.path) for node in nodes), default=4)
    lines = [style.paint("head", "  ".join([f"{'node':<{width}}", *(f"{name:>17}" for name in ARTEFACTS)]).rstrip())]
    for node in nodes:
        cells = [f"{_cell(node.deviations.get(name)):>17}" for name in ARTEFACTS]
        failing = f"  EXCEEDED: {', '.join(node.failing)}" if node.failing else ""
        lines.append("  ".join([f"{escape_control(node.path):<{width}}", *cells]) + failing)
    return lines


def _cell(deviation: Deviation | None) -> str:
    return "-" if deviation is None else f"{deviation.difference:.1e} / {deviation.tolerance:.1e}"


# --- JSON -----------------------------------------------------------------------------------------------------


def _data(result: Verification) -> dict[str, Any]:
    first = {name: result.comparison.first_failing(name) for name in ARTEFACTS}
    check = result.certificate
    return {
        "name": result.network.name,
        "passed": result.passed,
        "seed": result.seed,
        "batch": result.batch,
        "input": result.network.graph.input_spec,
        "weights": result.weights,
        "spec_sha256": result.network.fingerprint,
        "worst": {name: worst._asdict() for name, worst in result.worst.items()},
        "first_exceeded": {name: node.path for name, node in first.items() if node is not None},
        "file_runs": [run_data(run) for run in result.file_runs],
        "overflows": {name: overflow._asdict() for name, overflow in result.comparison.overflows.items()},
        "certificate": None
        if check is None
        else {
            "previous": None if check.previous is None else dict(check.previous.facts),
            "mismatches": list(check.mismatches),
            "written": check.written,
        },
        "versions": dict(result.versions),
        "absent": list(result.absent),
        "foreign": list(result.comparison.foreign),
        "nodes": [_node_data(node) for node in result.nodes],
    }


def _node_data(node: NodeResult) -> dict[str, Any]:
    cells = {name: node.deviations.get(name) for name in ARTEFACTS}
    return {
        "path": node.path,
        "op": node.op,
        **{name: None if deviation is None else deviation._asdict() for name, deviation in cells.items()},
    }


def run_data(run: FileRun) -> dict[str, Any]:
    """Return the JSON data of a run of the whole network, also for the certificate."""
    return {
        "batch": run.batch,
        "input": run.input,
        **{name: _output_data(run.outputs.get(name)) for name in ("module", "onnx")},
        "overflow": None if run.overflow is None else run.overflow._asdict(),
    }


def _output_data(output: OutputDeviation | None) -> dict[str, Any] | None:
    if output is None:
        return None
    if output.failure:
        return {"failure": output.failure}
    return {"output": output.output, **output.deviation._asdict()}

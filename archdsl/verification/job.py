"""The steps of `archdsl verify`: what is compared, the comparison, the certificate, and how it is told."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from archdsl.cli.console import Console
from archdsl.cli.verify import Job
from archdsl.diagnostics import Diagnostic, error, escape_control
from archdsl.network import Network, open_network
from archdsl.packages import require_package
from archdsl.report.table import Style

_DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
ARTEFACTS = {"module": "PyTorch module", "source": "printed source", "onnx": "ONNX file"}


def open_job(
    spec: str | None,
    model: Path | None,
    weights: str | None,
    seed: int | None,
    batch: int | None,
    args: Mapping[str, str],
    size: str | None,
) -> tuple[Job, dict[str, Any] | None]:
    """What is to be verified, and the certificate that the file has. Raises E0801, E0802, E0805, E0822, E0823,
    E06xx."""
    require_package("numpy")
    require_package("torch", "E0801", "pip install 'archdsl[torch]'")
    require_package("onnx")
    from archdsl.runtime.model import read_facts
    from archdsl.verification import certificate

    facts = None if model is None else read_facts(model)
    found = None if facts is None else certificate.read(dict(facts.metadata))
    if found is not None:  # the same run again, unless another is asked for
        seed = found.get("seed", 0) if seed is None else seed
        batch = found.get("batch", 1) if batch is None else batch
        size = found.get("input") if size is None and spec is None else size
    net = open_network(spec, args, size) if spec is not None else _carried(facts, size)
    _dtype(facts)
    job = Job(net, net.graph, None, model, facts, seed or 0, batch or 1)  # type: ignore[arg-type]
    _find_weights(job, weights)
    return job, found


def _carried(facts: Any, size: str | None) -> Network:
    """The network of the spec that a file of ours carries."""
    from archdsl.elaborate import elaborate
    from archdsl.source import decode
    from archdsl.spec.open import document_of, from_source

    text = facts.metadata.get("spec")
    if facts.producer != "archdsl" or text is None:
        raise error(
            "E0805", f"`{facts.path.name}` carries no spec: it was not made by archdsl", help="give the SPEC as well"
        )
    opened = from_source(decode(text.encode(), f"the spec in {facts.path.name}"))
    document = document_of(opened)
    if Network(document, elaborate(document, {}), {}).fingerprint != facts.metadata.get("spec_sha256"):
        raise error("E0822", f"the spec in `{facts.path.name}` is not the one that its hash says")
    document = document_of(opened, size)
    return Network(document, elaborate(document, {}), {})


def _find_weights(job: Job, given: str | None) -> None:
    """The numbers: those given, those that the file says it began with, or those in the file. Raises E0823."""
    if job.facts is None or given is not None:
        job.weights = job.net.weights(given, job.seed)
        return
    source = job.facts.metadata.get("weights", "")
    started = re.fullmatch(r"random, seed ([0-9]{1,18})", source)
    if started is not None:
        job.weights = job.net.weights(None, int(started[1]))
        return
    from archdsl.verification.stored import stored_weights

    assert job.model is not None
    proto = _loaded(job.model)
    _need_same(job, {node.name for node in proto.graph.node})
    for graph in (job.net.graph, job.net.optimised(_passes(job.facts.metadata))):
        found = stored_weights(proto, job.model.parent, graph, source)
        if found is not None:
            job.graph, job.weights, job.whole = graph, found, graph is job.net.graph
            return
    raise error(
        "E0823",
        f"the numbers in `{job.model.name}` were folded together and cannot be told apart",
        help="give the ones it was made of: `--weights FILE`",
    )


def _passes(metadata: Mapping[str, str]) -> list[str] | None:
    """The passes that the file says were run; None: all."""
    from archdsl.passes.optimise import PASSES

    return [name for name in metadata["passes"].split() if name in PASSES] if "passes" in metadata else None


# --- the comparison -------------------------------------------------------------------------------------------


def run(console: Console, job: Job, folder: Path) -> Any:
    """Runs everything and holds it against the judge."""
    from archdsl.backends.torch.module import to_torch
    from archdsl.verification.compare import measure, memory_needed
    from archdsl.verification.observe import Values, load_weights, module_values, printed_module
    from archdsl.verification.reference import seeded_inputs

    needed, free = memory_needed(job.graph, job.batch) + 3 * job.weights.nbytes, _free_memory()
    if free is not None and needed > free:
        raise error(
            "E0705",
            f"the weights and the values of all nodes need {needed:,} bytes of memory; {free:,} are free",
            status=2,
            help="a smaller --input, or --batch 1",
        )
    inputs = seeded_inputs(job.graph, job.batch, job.seed)
    artefacts: dict[str, Values] = {}
    if job.whole:
        artefacts["module"] = module_values(to_torch(job.graph, job.weights), job.graph, inputs)
        printed = printed_module(job.net.to_source())
        load_weights(printed, job.weights)
        artefacts["source"] = module_values(printed, job.graph, inputs)
        del printed
    artefacts["onnx"] = _onnx(job, inputs, folder)
    return measure(
        job.graph, job.weights, inputs, artefacts, job.seed, console.progress("verifying"), {"onnx": _dtype(job.facts)}
    )


def _dtype(facts: Any) -> str:
    """What the file computes in. Raises E0823 for int8, whose errors are those of its calibration and not of
    rounding."""
    precision = "fp32" if facts is None else facts.metadata.get("precision", "fp32")
    if precision not in _DTYPES:
        raise error(
            "E0823",
            f"`{facts.path.name}` computes in {precision[:20]}: its errors are not those of rounding",
            help="compare what it says of your images: archdsl predict",
        )
    return _DTYPES[precision]


def _onnx(job: Job, inputs: Any, folder: Path) -> Any:
    """The values of the file's nodes, by the paths of the graph's."""
    from archdsl.verification.compare import stands_for
    from archdsl.verification.observe import onnx_values

    path = job.model
    if path is None:
        path = folder / "model.onnx"
        job.net.to_onnx(path, job.weights)
    model = _loaded(path)
    _need_same(job, {node.name for node in model.graph.node})
    values = onnx_values(model, path, inputs, job.graph.by_path)
    if not job.whole:
        return values
    names = stands_for(
        job.graph, _taken_in({item.key: item.value for item in model.metadata_props}.get("folded", ""), values, path)
    )
    return {names[at]: value for at, value in values.items()}


def _loaded(path: Path) -> Any:
    """The model, its external numbers left where they are. Raises E0805 for one that is damaged, or has control
    flow."""
    import onnx

    from archdsl.runtime.model import check_runnable, not_a_model

    check_runnable(path)
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as problem:  # protobuf's own errors among them
        raise not_a_model(path, f"it is damaged ({type(problem).__name__})") from None
    if not all(node.output for node in model.graph.node):
        raise not_a_model(path, "one of its nodes has no output")
    return model


def _taken_in(text: str, layers: Iterable[str], path: Path) -> dict[str, tuple[str, ...]]:
    """What each of the layers took in, as the file's metadata says."""
    from archdsl.backends.onnx import absorbed
    from archdsl.runtime.model import not_a_model

    try:
        return absorbed.read(text, layers)
    except ValueError:
        raise not_a_model(path, "its metadata `folded` is not understood") from None


def _need_same(job: Job, names: set[str]) -> None:
    """Raises E0822 where a file is one of quite another network: hardly a node of it bears a name of this one's."""
    whole = {name.partition("/")[0] for name in names}
    if len(whole & {node.written_path for node in job.graph.nodes}) * 2 < len(whole):
        other = job.facts.metadata.get("name", "another network") if job.facts is not None else "another network"
        file = job.model.name if job.model is not None else ""
        raise error("E0822", f"`{file}` was made of `{other[:80]}`, not of `{job.net.name}`")


def _free_memory() -> int | None:
    from archdsl.backends.onnx.write import free_memory

    return free_memory()


# --- the certificate ------------------------------------------------------------------------------------------


def certify(job: Job, report: Any) -> None:
    """Writes the result into the file."""
    from archdsl.verification import certificate

    assert job.model is not None
    certificate.write(job.model, _facts(job, report))


def _facts(job: Job, report: Any) -> dict[str, Any]:
    from archdsl.verification import certificate, tolerance
    from archdsl.verification.compare import as_facts, weights_sha256

    assert job.model is not None
    return {
        "content_sha256": certificate.content_sha256(job.model),
        "data_sha256": certificate.data_sha256(job.model),
        "spec_sha256": job.net.fingerprint,
        "weights_sha256": weights_sha256(job.graph, job.weights),
        "seed": job.seed,
        "batch": job.batch,
        "input": job.net.graph.input_spec if len(job.net.graph.inputs) == 1 else None,
        "measure": "max|a - b| / max|b| of each channel, b in float64",
        "bound": f"{tolerance.SAFETY:g} * (spread + u)",
        "dtype": _dtype(job.facts),
        "worst": as_facts(report, ARTEFACTS),
        "nodes": len(report.nodes),
        "folded": len(report.folded),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of what the result depends on."""
    from importlib.metadata import version

    from archdsl.version import __version__

    found = {"archdsl": __version__, "python": platform.python_version()}
    return found | {name: version(name) for name in ("torch", "numpy", "onnx", "onnxruntime")}


def problems(job: Job, report: Any, found: dict[str, Any] | None, renew: bool) -> list[Diagnostic]:
    """What is wrong: nodes past their bounds (E0821), a certificate that is of something else (E0822)."""
    told = []
    for artefact, name in ARTEFACTS.items():
        first, worst = report.first_past(artefact), report.worst(artefact)
        if first is not None and worst is not None:
            more = f", the first of {worst.past} nodes past their bounds" if worst.past > 1 else ""
            told.append(
                Diagnostic(
                    "E0821",
                    f"`{first.path}` of the {name} is not that of the network",
                    job.graph.by_path[first.path].origin.span,
                    label=_told(first.found[artefact]) + more,
                )
            )
    changed = changes(job, found)
    if changed and not renew:
        told.append(
            Diagnostic(
                "E0822",
                f"the certificate in `{job.model.name if job.model else ''}` is of {' and '.join(changed)}",
                help="`--renew` replaces it, if the file passes",
            )
        )
    return told


def _told(apart: Any) -> str:
    where = "" if apart.channel is None else f" in channel {apart.channel}"
    return f"differs by {apart.difference:.1e}{where}; rounding explains {apart.bound:.1e}"


def changes(job: Job, found: dict[str, Any] | None) -> list[str]:
    """What is no longer as the certificate says."""
    if found is None or job.model is None:
        return []
    from archdsl.verification import certificate
    from archdsl.verification.compare import weights_sha256

    told = []
    if found.get("content_sha256") != certificate.content_sha256(job.model):
        told.append("a file with other contents")
    if found.get("data_sha256") != certificate.data_sha256(job.model):
        told.append("other external data")
    if found.get("spec_sha256") != job.net.fingerprint and found.get("input") == job.net.graph.input_spec:
        told.append("another spec")
    if found.get("weights_sha256") != weights_sha256(job.graph, job.weights):
        told.append("other weights")
    return told


# --- telling --------------------------------------------------------------------------------------------------


def as_text(job: Job, report: Any, found: dict[str, Any] | None, written: bool, every: bool, style: Style) -> str:
    """A line for each artefact, for every node if they are asked for, and what became of the certificate."""
    lines = [
        style.paint("head", escape_control(job.net.name))
        + f"  {job.batch} x {job.net.graph.input_spec}, seed {job.seed}, weights {escape_control(job.weights.source[:200])}",
        "",
    ]
    if every:
        lines += [*_nodes(report, style), ""]
    lines.append(style.paint("head", f"{'':<16}{'nodes':>6}  {'largest':>9}  {'bound':>9}  at"))
    for artefact, name in ARTEFACTS.items():
        worst = report.worst(artefact)
        if worst is None:
            lines.append(f"{name:<16}{'-':>6}  not compared: only folded numbers are known, add --weights")
            continue
        channel = "" if worst.channel is None else f", channel {worst.channel}"
        verdict = f"  {worst.past} PAST THE BOUND" if worst.past else ""
        lines.append(
            f"{name:<16}{worst.nodes:>6}  {worst.difference:>9.2e}  {worst.bound:>9.2e}  "
            f"{escape_control(worst.path)}{channel}{verdict}"
        )
    lines.append("")
    if report.folded:
        named = ", ".join(map(escape_control, report.folded[:3])) + (" .." if len(report.folded) > 3 else "")
        lines.append(
            f"{len(report.folded)} nodes are not in the ONNX file, folded into others or idle at inference: {named}"
        )
    lines.append("every node is within its bound" if report.fine else "not every node is within its bound")
    if written:
        lines.append(f"certificate written into {escape_control(str(job.model))}")
    elif found is not None and report.fine and not changes(job, found):
        lines.append("the certificate holds")
    return "\n".join(lines) + "\n"


def _nodes(report: Any, style: Style) -> list[str]:
    width = max((len(node.path) for node in report.nodes), default=4)
    lines = [style.paint("head", "  ".join([f"{'node':<{width}}", *(f"{name:>17}" for name in ARTEFACTS)]).rstrip())]
    for node in report.nodes:
        cells = [_cell(node.found.get(name)) for name in ARTEFACTS]
        past = f"  PAST: {', '.join(node.past)}" if node.past else ""
        lines.append("  ".join([f"{escape_control(node.path):<{width}}", *(f"{cell:>17}" for cell in cells)]) + past)
    return lines


def as_json(job: Job, report: Any, found: dict[str, Any] | None, written: bool) -> str:
    """The contract of `archdsl verify --format json`."""
    from archdsl.verification.compare import as_facts

    firsts = {name: report.first_past(name) for name in ARTEFACTS}
    told = {
        "name": job.net.name,
        "fine": report.fine,
        "seed": job.seed,
        "batch": job.batch,
        "input": job.net.graph.input_spec,
        "weights": job.weights.source,
        "spec_sha256": job.net.fingerprint,
        "worst": as_facts(report, ARTEFACTS),
        "first_past": {name: node.path for name, node in firsts.items() if node is not None},
        "certificate": None
        if job.model is None
        else {"found": found, "differs_in": changes(job, found), "written": written},
        "versions": versions(),
        "folded": list(report.folded),
        "nodes": [
            {
                "path": n.path,
                "op": n.kind,
                **{name: n.found[name]._asdict() if name in n.found else None for name in ARTEFACTS},
            }
            for n in report.nodes
        ],
    }
    return json.dumps(told, indent=2) + "\n"


def _cell(apart: Any) -> str:
    return "-" if apart is None else f"{apart.difference:.1e} / {apart.bound:.1e}"

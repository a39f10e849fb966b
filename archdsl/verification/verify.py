"""Verify a network: open the spec and the model, compare every artefact with the reference, check the certificate."""

from __future__ import annotations

import platform
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.axes import axes_of, is_picture
from archdsl.diagnostics import ArchError, error
from archdsl.diagnostics.arguments import (
    check_callables,
    check_flags,
    check_mappings,
    check_paths,
    check_range,
    check_type,
    conflict,
)
from archdsl.network import Network, as_network
from archdsl.network.checks import MAX_SEED
from archdsl.packages import require_package
from archdsl.runtime.embedded import without_preprocessing
from archdsl.runtime.model import ModelFacts, check_runnable, not_a_model, read_facts
from archdsl.verification import certificate
from archdsl.verification.certificate import MAX_BATCH, Certificate
from archdsl.verification.embedded import preprocessing_problems
from archdsl.verification.foreign import transferred
from archdsl.verification.report import (
    ARTEFACTS,
    CertificateCheck,
    Verification,
    certificate_problem,
    file_problems,
    node_problems,
    overflow_problems,
    run_data,
    run_problems,
)

if TYPE_CHECKING:
    from onnx import ModelProto

    from archdsl.backends.weights import Array, Weights
    from archdsl.graph import Graph
    from archdsl.progress import Progress
    from archdsl.verification.compare import NodeComparison
    from archdsl.verification.file_runs import FileRun
    from archdsl.verification.observe import NodeValues

_DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def verify(
    source: str | Path | Network,
    model: str | Path | None = None,
    *,
    weights: str | Path | Mapping[str, object] | None = None,
    seed: int | None = None,
    batch: int | None = None,
    args: Mapping[str, object] | None = None,
    input: str | Sequence[int] | None = None,
    write: bool = True,
    renew: bool = False,
    progress: Progress | None = None,
) -> Verification:
    """Compare every node of the PyTorch module, the generated source and the ONNX file with a float64 reference.

    Then run the ONNX file unchanged, at several batch and input sizes, and compare its outputs. In a file with embedded
    preprocessing, the network is compared, and the preprocessing by itself with archdsl's on random images.

    `source` is a SPEC, a `Network`, or a compiled model (`.onnx`), which contains its spec; `model` is a compiled model
    of the SPEC. Without a model, one is compiled for the run. A model that archdsl did not write is imported: its
    outputs are compared with those of the SPEC, or of its own network; then the network is verified with its weights.

    `args` and `input` are those of `load`, `weights` and `seed` those of `Network.weights`; `seed` (default 0) also
    draws the input of `batch` (default 1) samples. The seed, batch and input of a model's certificate are the defaults
    for that model. If a model passes, the result is written into it as a certificate, unless it has one or `write` is
    false; `renew` replaces an existing certificate.

    Raises E0002 for a seed or batch out of range, E0003 for arguments that exclude each other, E0205 for an unknown
    SPEC and other errors of specs, E06xx for weights that do not fit, E0705 if memory is short, E0801, E0802 or E0807
    for a missing package, E0805 for an unusable model, E0822 for a model of another network, E0823 if the weights or
    the precision cannot be verified. Differences and overflows are no errors: they are in `problems`.
    """
    check_type("source", source, "a SPEC, a model or a network", str, Path, Network)
    check_paths(model=model)
    check_mappings(args=args)
    check_callables(progress=progress)
    check_flags(write=write, renew=renew)
    spec, file = _spec_and_model(source, model, args)
    if seed is not None:
        check_range("seed", seed, 0, MAX_SEED)
    if batch is not None:
        check_range("batch", batch, 1, MAX_BATCH)
    require_package("numpy")
    require_package("torch", "E0801")
    require_package("onnx")
    facts = None if file is None else read_facts(file)
    previous = None if facts is None else certificate.read(dict(facts.metadata))
    if previous is not None:  # repeat the run of the certificate, unless the caller sets other values
        seed = previous.seed if seed is None else seed
        batch = previous.batch if batch is None else batch
        input = previous.input if input is None and spec is None else input
    network = as_network(spec, args, input) if spec is not None else _contained(facts, input)
    if facts is not None and not facts.has_spec:
        weights, facts = transferred(network, facts, weights, input), None
    _check_precision(network, facts)
    job = _job(network, facts, weights, seed or 0, batch or 1)
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        results = _results(job, Path(folder), progress)
    return _result(job, *results, previous, write, renew)


def _spec_and_model(
    source: str | Path | Network, model: str | Path | None, args: Mapping[str, object] | None
) -> tuple[str | Path | Network | None, Path | None]:
    """The spec and the model, given in either order.

    Raises E0003 for two specs, two models, and a model alone with `args`.
    """
    specs: list[str | Path | Network] = []
    models: list[Path] = []
    for one in (source, model):
        if isinstance(one, str | Path) and str(one).lower().endswith(".onnx"):
            models.append(Path(one))
        elif one is not None:
            specs.append(one)
    if len(specs) > 1 or len(models) > 1:
        several = "specs" if len(specs) > 1 else "models"
        help = "give one SPEC, one MODEL.onnx, or one of each; `diff` compares a spec with a PyTorch module"
        raise conflict(f"cannot verify two {several} together", help=help)
    if args and not specs:
        raise conflict(
            f"`{models[0].name}` is a compiled model: `args` applies to a spec", help="give the SPEC as well"
        )
    return (specs[0] if specs else None), (models[0] if models else None)


# --- what is verified -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Job:
    """What is verified. `graph` is the graph that the reference computes: the network's own, or the optimised one if
    only folded weights are known. `facts` is None without a model file."""

    network: Network
    graph: Graph
    weights: Weights
    facts: ModelFacts | None
    seed: int
    batch: int

    @property
    def whole(self) -> bool:
        """Whether the network's own weights are known."""
        return self.graph is self.network.graph

    @property
    def model(self) -> Path | None:
        return None if self.facts is None else self.facts.path


def _contained(facts: ModelFacts | None, input: str | Sequence[int] | None) -> Network:
    """The network of the spec in a compiled model, or of an imported one. Raises E0822 for a wrong hash."""
    assert facts is not None
    stored = _stored_spec(facts, None)
    if stored is None:
        return as_network(facts.path, None, input)
    if stored.fingerprint != facts.metadata.get("spec_sha256"):
        raise error("E0822", f"the spec in `{facts.path.name}` does not match its hash in the metadata")
    if input is None:
        return stored
    sized = _stored_spec(facts, input if isinstance(input, str) else "x".join(map(str, input)))
    assert sized is not None
    return sized


def _stored_spec(facts: ModelFacts, size: str | None) -> Network | None:
    """The network of the spec in a model's metadata, at another input size; None if archdsl did not write the model."""
    from archdsl.elaborate import elaborate
    from archdsl.source import decode
    from archdsl.spec.open import document_of, from_source

    if not facts.has_spec:
        return None
    document = document_of(from_source(decode(facts.metadata["spec"].encode(), f"the spec in {facts.path.name}")), size)
    return Network(document, elaborate(document, {}), {})


def _other_spec(job: _Job) -> bool:
    """Whether the model's metadata has another spec than the one that the model is compared with."""
    if job.facts is None:
        return False
    graph = job.network.graph
    try:
        stored = _stored_spec(job.facts, graph.input_spec if len(graph.inputs) == 1 else None)
    except ArchError:
        return True
    return stored is not None and stored.fingerprint != job.network.fingerprint


def _job(network: Network, facts: ModelFacts | None, weights: Any, seed: int, batch: int) -> _Job:
    """The job with its weights: those of the caller, those of the seed in the metadata, or those in the file.

    Raises E0823 if the file has only folded weights that match no graph.
    """
    if facts is None or weights is not None:
        return _Job(network, network.graph, network.weights(weights, seed), facts, seed, batch)
    stated = facts.metadata.get("weights", "")
    random = re.fullmatch(r"random, seed ([0-9]{1,18})", stated)
    if random is not None:
        return _Job(network, network.graph, network.weights(None, int(random[1])), facts, seed, batch)
    from archdsl.verification.stored import stored_weights

    model = _loaded(facts.path)
    _require_same(network, network.graph, facts, {node.name for node in model.graph.node})
    for graph in (network.graph, network.optimised(_passes(facts.metadata))):
        stored = stored_weights(model, facts.path.parent, graph, stated)
        if stored is not None:
            return _Job(network, graph, stored, facts, seed, batch)
    raise error(
        "E0823",
        f"cannot recover the weights of `{facts.path.name}`: its tensors are not those that archdsl writes: "
        "they were folded into others, or changed later",
        help="give the weights that the model was compiled with: `--weights FILE`",
    )


def _passes(metadata: Mapping[str, str]) -> list[str] | None:
    """The passes that the file was compiled with; None: all."""
    from archdsl.passes.optimise import PASSES

    return [name for name in metadata["passes"].split() if name in PASSES] if "passes" in metadata else None


# --- the comparison -------------------------------------------------------------------------------------------


def _results(
    job: _Job, folder: Path, progress: Progress | None
) -> tuple[NodeComparison, tuple[FileRun, ...], tuple[str, ...]]:
    """Run every artefact and compare it with the reference: node by node, then the unchanged file.

    The last value are the axes that the file fixes although it was compiled to leave them free.
    """
    from archdsl.backends.torch.module import to_torch
    from archdsl.runtime.inputs import seeded_inputs
    from archdsl.verification.compare import compare_nodes
    from archdsl.verification.file_runs import FileRuns
    from archdsl.verification.observe import load_weights, module_values, source_module
    from archdsl.verification.stored import fixed_axes, foreign_nodes

    _require_memory(job)
    inputs = seeded_inputs(job.graph, job.batch, job.seed)
    artefacts: dict[str, NodeValues] = {}
    module = to_torch(job.graph, job.weights) if job.whole else None
    if module is not None:
        artefacts["module"] = module_values(module, job.graph, inputs)
        generated = source_module(job.network.to_source())
        load_weights(generated, job.weights)
        artefacts["source"] = module_values(generated, job.graph, inputs)
        del generated
    file = job.model or folder / "model.onnx"
    if job.model is None:
        job.network.to_onnx(file, job.weights)
    model = _loaded(file)
    content = model.SerializeToString() if job.facts is not None and job.facts.embedded else None
    foreign, fixed = (foreign_nodes(model, job.graph), fixed_axes(model, job.graph)) if job.model else ((), ())
    artefacts["onnx"] = _onnx(job, inputs, model, file)
    del model
    dtype = _dtype(job.facts)
    comparison = compare_nodes(job.graph, job.weights, inputs, artefacts, job.seed, progress, {"onnx": dtype})
    comparison = replace(comparison, foreign=foreign)
    if comparison.overflows:
        return comparison, (), fixed
    runs = FileRuns(file, job.graph, job.weights, module, job.seed, dtype, comparison.absent, content)
    return comparison, runs.run(job.batch), fixed


def _require_memory(job: _Job) -> None:
    from archdsl.backends.onnx.write import free_memory
    from archdsl.verification.compare import memory_needed

    needed, free = memory_needed(job.graph, job.batch) + 3 * job.weights.nbytes, free_memory()
    if free is not None and needed > free:
        raise error(
            "E0705",
            f"the weights and the values of all nodes need {needed:,} bytes of memory; {free:,} are free",
            status=2,
            help="use a smaller --input, or --batch 1",
        )


def _check_precision(network: Network, facts: ModelFacts | None) -> None:
    """Raise E0823 for an int8 file: its errors come from calibration."""
    precision = _precision(facts)
    if facts is None or precision in _DTYPES:
        return
    shape = network.input
    pictures = not isinstance(shape, dict) and (axes_of(shape) == 0 or is_picture(shape))
    raise error(
        "E0823",
        f"cannot verify `{facts.path.name}`: the errors of {precision[:20]} are not rounding errors",
        help="compare its predictions on your images: archdsl predict"
        if pictures
        else "run it and the fp32 file in ONNX Runtime on your arrays, and compare the outputs",
    )


def _precision(facts: ModelFacts | None) -> str:
    return "fp32" if facts is None else facts.metadata.get("precision", "fp32")


def _dtype(facts: ModelFacts | None) -> str:
    """The type that the file computes in."""
    return _DTYPES[_precision(facts)]


def _onnx(job: _Job, inputs: Mapping[str, Array], model: ModelProto, path: Path) -> NodeValues:
    """The values of the file's nodes, by the paths of the nodes of the graph."""
    from archdsl.verification.compare import computed_nodes
    from archdsl.verification.observe import onnx_values

    _require_same(job.network, job.graph, job.facts, {node.name for node in model.graph.node})
    try:
        values = onnx_values(model, path, inputs, job.graph.by_path)
    except ArchError:
        if _dtype(job.facts) != "bfloat16":
            raise
        raise error(
            "E0823",
            f"cannot verify `{path.name}`: ONNX Runtime has no bfloat16 kernels for the CPU",
            help="verify the network in fp32 or fp16; the weights are the same",
        ) from None
    if not job.whole:
        return values
    metadata = {item.key: item.value for item in model.metadata_props}
    paths = computed_nodes(job.graph, _absorbed(metadata.get("folded", ""), values, path))
    return {paths[at]: value for at, value in values.items()}


def _loaded(path: Path) -> ModelProto:
    """The model without its external data and the preprocessing of images. Raises E0805 if it is damaged or has control
    flow."""
    import onnx

    check_runnable(path)
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as problem:  # protobuf's own errors among them
        raise not_a_model(path, f"it is damaged ({type(problem).__name__})") from None
    if not all(node.output for node in model.graph.node):
        raise not_a_model(path, "one of its nodes has no output")
    without_preprocessing(model)
    return model


def _absorbed(text: str, layers: Iterable[str], path: Path) -> dict[str, tuple[str, ...]]:
    """The nodes that each layer absorbed, from the file's metadata."""
    from archdsl.backends.onnx import absorbed

    try:
        return absorbed.read(text, layers)
    except ValueError:
        raise not_a_model(path, "its metadata `folded` is malformed") from None


def _require_same(network: Network, graph: Graph, facts: ModelFacts | None, names: set[str]) -> None:
    """Raise E0822 if the file is of another network: fewer than half of its nodes have names of this one."""
    paths = {name.partition("/")[0] for name in names if not name.startswith("output/")}
    if facts is not None and len(paths & {node.written_path for node in graph.nodes}) * 2 < len(paths):
        other = facts.metadata.get("name", "another network")
        raise error("E0822", f"`{facts.path.name}` was compiled from `{other[:80]}`, not from `{network.name}`")


# --- the certificate ------------------------------------------------------------------------------------------


def _result(
    job: _Job,
    comparison: NodeComparison,
    runs: tuple[FileRun, ...],
    fixed: Sequence[str],
    previous: Certificate | None,
    write: bool,
    renew: bool,
) -> Verification:
    """The result; writes the certificate if the model passed and has none, or it is renewed."""
    versions = _versions()
    problems = [
        *node_problems(job.network, comparison),
        *run_problems(job.network, comparison, runs),
        *overflow_problems(job.network, comparison, runs, job.weights.source),
    ]
    check = None
    if job.model is not None:
        problems += file_problems(job.model, fixed, other_spec=not problems and _other_spec(job))
        problems += preprocessing_problems(job.facts, job.seed) if job.facts is not None and job.facts.embedded else []
        written = write and not problems and (previous is None or renew)
        facts = _facts(job, comparison, runs, versions, job.model) if written or previous is not None else {}
        mismatches = () if previous is None else _mismatches(previous, facts)
        if mismatches and not renew:
            problems.append(certificate_problem(job.model, mismatches))
        if written:
            certificate.write(job.model, facts)
        check = CertificateCheck(previous, mismatches, written)
    return Verification(
        job.network,
        job.model,
        job.seed,
        job.batch,
        job.weights.source,
        comparison,
        runs,
        check,
        tuple(problems),
        versions,
    )


def _facts(
    job: _Job, comparison: NodeComparison, runs: Sequence[FileRun], versions: Mapping[str, str], model: Path
) -> dict[str, Any]:
    """The contents of the certificate of this run."""
    from archdsl.verification import tolerance
    from archdsl.verification.compare import weights_sha256

    worst = {name: comparison.worst(name) for name in ARTEFACTS}
    return {
        "content_sha256": certificate.content_sha256(model),
        "data_sha256": certificate.data_sha256(model),
        "spec_sha256": job.network.fingerprint,
        "weights_sha256": weights_sha256(job.graph, job.weights),
        "seed": job.seed,
        "batch": job.batch,
        "input": job.network.graph.input_spec if len(job.network.graph.inputs) == 1 else None,
        "measure": "max|a - b| / max|b| of each channel, b in float64",
        "tolerance": f"{tolerance.SAFETY:g} * (spread + u)",
        "dtype": _dtype(job.facts),
        "worst": {name: result._asdict() for name, result in worst.items() if result is not None},
        "nodes": len(comparison.nodes),
        "absent": len(comparison.absent),
        "file_runs": [run_data(run) for run in runs],
        "versions": dict(versions),
    }


def _mismatches(previous: Certificate, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """What does not match the certificate: hashes that differ from the `facts` of this run.

    The network's own weights and the folded ones of a file have different hashes: they are compared if both runs had
    the same. The hashes of the file's contents are always compared.
    """
    stated = previous.facts
    worst = stated.get("worst")
    same_kind = ("module" in (worst if isinstance(worst, dict) else {})) == ("module" in facts["worst"])
    differs = {
        "file contents": stated.get("content_sha256") != facts["content_sha256"],
        "external data": stated.get("data_sha256") != facts["data_sha256"],
        "spec": stated.get("spec_sha256") != facts["spec_sha256"] and previous.input == facts["input"],
        "weights": stated.get("weights_sha256") != facts["weights_sha256"] and same_kind,
    }
    return tuple(what for what, is_other in differs.items() if is_other)


def _versions() -> dict[str, str]:
    """The versions of the packages that the result depends on."""
    from importlib.metadata import version

    from archdsl.version import __version__

    packages = ("torch", "numpy", "onnx", "onnxruntime")
    return {
        "archdsl": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }

"""The model file of a prediction: a compiled model, or a spec that is compiled first."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from archdsl.backends.onnx.half_precision import DTYPES, Precision
from archdsl.diagnostics import Diagnostic, error
from archdsl.diagnostics.arguments import check_choice, check_flags, check_mappings, check_range
from archdsl.network import Network, as_network, label_note
from archdsl.network.checks import MAX_SEED
from archdsl.progress import Watch, watched
from archdsl.runtime.model import check_unchanged, is_model, read_facts


class ModelOptions(TypedDict, total=False):
    """How to compile a spec: `weights` and `seed` as `Network.weights`, `precision` (`fp32`, `fp16` or `bf16`), `args`
    and `input` as `load`; `cam` as `Network.to_onnx`, also for a compiled model without these maps; `bare`: without
    the preprocessing inside a compiled model, so that the input is that of the network."""

    weights: str | Path | Mapping[str, object] | None
    seed: int | None
    precision: Precision
    args: Mapping[str, object] | None
    input: str | Sequence[int] | None
    cam: bool
    bare: bool


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A network, and how to compile it unless it is a compiled model."""

    source: str | Path | Network
    weights: str | Path | Mapping[str, object] | None = None
    seed: int | None = None
    precision: Precision = "fp32"
    args: Mapping[str, object] | None = None
    input: str | Sequence[int] | None = None
    cam: bool = False
    bare: bool = False

    def __post_init__(self) -> None:
        check_mappings(args=self.args)
        if self.seed is not None:
            check_range("seed", self.seed, 0, MAX_SEED)
        check_choice("precision", self.precision, DTYPES)
        check_flags(cam=self.cam, bare=self.bare)

    @property
    def files(self) -> tuple[str | Path, ...]:
        """The files that the run reads, which no output may replace."""
        sources = self.source.files if isinstance(self.source, Network) else (self.source,)
        return (*sources, *((self.weights,) if isinstance(self.weights, (str, Path)) else ()))

    @property
    def compiled(self) -> bool:
        """Whether it is a compiled model. Raises E0003 if options of a spec are set for one."""
        if isinstance(self.source, Network) or not is_model(self.source):
            return False
        check_unchanged(
            self.source,
            weights=self.weights is not None,
            seed=self.seed is not None,
            precision=self.precision != "fp32",
            args=bool(self.args),
            input=self.input is not None,
        )
        return True

    @property
    def _recompiled(self) -> bool:
        """Whether a compiled model lacks maps that are needed, or contains preprocessing that must not be there."""
        facts = read_facts(str(self.source)) if self.cam or self.bare else None
        return facts is not None and (self.cam and not facts.has_class_maps or self.bare and facts.embedded)

    @contextmanager
    def opened(self, watch: Watch | None) -> Iterator[tuple[Path, tuple[Diagnostic, ...]]]:
        """The model file, which exists meanwhile, and notes on the network and the weights."""
        if self.compiled and not self._recompiled:
            yield Path(str(self.source)), ()
            return
        network = as_network(self.source, self.args, self.input)
        _check_input(network)
        values = network.weights(self.weights, self.seed or 0)
        with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
            path = Path(folder) / f"{network.name}.onnx"
            progress = watched(watch, f"compiling {network.name}")
            network.to_onnx(path, values, precision=self.precision, cam=self.cam, progress=progress)
            yield path, (*label_note(network.document, network.classes), *values.notes)


def _check_input(network: Network) -> None:
    """Raises E0806 if the network has several inputs, or if its preprocessing does not match."""
    shape = network.input
    if isinstance(shape, dict):
        raise error("E0806", f"`{network.name}` has {len(shape)} inputs; an image fills only one")
    network.recipe  # noqa: B018 - raises if it does not match

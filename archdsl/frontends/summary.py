"""What an import found, checked and lost, in one line and as data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from archdsl.analysis.count import count
from archdsl.frontends.equality import OutputCheck
from archdsl.frontends.onnx_model import SourceModel
from archdsl.frontends.to_spec import ImportedSpec
from archdsl.ops.norm import Norm

if TYPE_CHECKING:
    from torch import nn

_COMPUTED = re.compile(r"onnx::Conv(Transpose)?_\d+")
"""PyTorch's exporter gives such a name to the weights of a layer that it folded a norm into."""


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """The summary of an import.

    `layers` are the nodes with trained tensors, norms not counted. `blocks` counts the modules that are calls or
    composites, `flat` those that are written node after node; chains of modules are neither, unless the whole spec is
    flat. `lines` are those of the spec. `carried`: the file contains the spec, so that nothing was recovered.

    `lost` are facts of the original network that the model does not contain any more; `renamed` the names of tensors
    that are others in the spec, with these; `left_out` the keys of a module's state_dict that the spec does not have;
    `made` the trained tensors of the spec that are no parameters of the module.
    """

    name: str
    layers: int
    parameters: int
    blocks: int
    flat: int
    lines: int
    carried: bool
    check: OutputCheck
    lost: tuple[str, ...]
    renamed: Mapping[str, str]
    left_out: tuple[str, ...]
    made: tuple[str, ...]

    def text(self) -> str:
        """Return the summary in one line."""
        check = self.check
        at = " and ".join(check.sizes)
        compared = f"outputs equal within {check.difference:.1e} at {at}" if at else "outputs not compared"
        counts = [_counted(self.layers, "layer"), f"{self.parameters:,} parameters", _counted(self.lines, "line")]
        if self.blocks or self.flat:
            counts.insert(2, f"{_counted(self.blocks, 'module')} as blocks and {self.flat} flat")
        names = [f"{old[:80]}` as `{new[:80]}" for old, new in self.renamed.items()]
        facts = [*self.lost, *_listed("has another name", "have other names", names)]
        facts += _listed("is not in the spec", "are not in the spec", self.left_out)
        facts += _listed("is trained in the spec only", "are trained in the spec only", self.made)
        return "; ".join([f"{self.name}: {', '.join(counts)}", compared, *facts])

    def data(self) -> dict[str, object]:
        """Return the summary as JSON data."""
        return asdict(self)


def summarised(spec: ImportedSpec, carried: bool, check: OutputCheck, lost: tuple[str, ...]) -> ImportSummary:
    """Return the summary of a spec."""
    graph = spec.graph
    return ImportSummary(
        name=graph.name,
        layers=sum(any(p.trained for p in node.reads) and not isinstance(node.op, Norm) for node in graph.running),
        parameters=count(graph).params,
        blocks=0 if spec.recovered is None else spec.recovered.recovered,
        flat=0 if carried else spec.flat,
        lines=len(spec.text.splitlines()),
        carried=carried,
        check=check,
        lost=lost,
        renamed=spec.renamed,
        left_out=spec.left_out,
        made=spec.made,
    )


def lost_facts(model: SourceModel) -> tuple[str, ...]:
    """Return what is certainly missing in a file: norms that PyTorch's exporter folded into layers."""
    folded = sum(
        len(node.inputs) > 2 and bool(_COMPUTED.fullmatch(node.inputs[1]))
        for node in model.nodes
        if node.op_type in ("Conv", "ConvTranspose")
    )
    return (f"the exporter folded norms into {_counted(folded, 'layer')}",) if folded else ()


def module_facts(module: nn.Module) -> tuple[str, ...]:
    """Return what a spec cannot say of a module, though its outputs are equal."""
    averages = [path for path, one in module.named_modules() if getattr(one, "momentum", 0.1) is None]
    return (
        *_listed("averages over all batches (momentum=None)", "average over all batches", averages, "module"),
        *_listed(
            "acts in training only and is left out", "act in training only and are left out", _drops(module), "module"
        ),
    )


def _drops(module: nn.Module) -> list[str]:
    """Modules that drop values in training, but for `nn.Dropout`, which a spec has. `p` and `drop_prob` are theirs.

    One that contains other modules, such as a head with dropout, is not left out as a whole.
    """
    return [
        path
        for path, one in module.named_modules()
        if ("Drop" in (kind := type(one).__name__) or kind == "StochasticDepth")
        and kind != "Dropout"
        and next(one.children(), None) is None
        and vars(one).get("p", vars(one).get("drop_prob", 1))
    ]


def _listed(one: str, several: str, names: Sequence[str], what: str = "tensor") -> list[str]:
    """What holds for some tensors, with the first of them."""
    if len(names) < 2:
        return [f"the {what} `{name[:200]}` {one}" for name in names]
    return [f"{len(names):,} {what}s {several}, such as `{names[0][:200]}`"]


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"

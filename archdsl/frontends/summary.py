"""What an import found, checked and lost, in one line and as data."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from archdsl.analysis.count import count
from archdsl.frontends.equality import OutputCheck
from archdsl.frontends.onnx_model import SourceModel
from archdsl.graph import Graph
from archdsl.ops.norm import Norm

_COMPUTED = re.compile(r"onnx::Conv(Transpose)?_\d+")
"""PyTorch's exporter gives such a name to the weights of a layer that it folded a norm into."""


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """The summary of an import.

    `layers` are the nodes with trained tensors, norms not counted; `blocks` the modules that are calls or composites;
    `lines` those of the spec. `lost` are facts of the original network that the model does not contain any more.
    """

    name: str
    layers: int
    parameters: int
    blocks: int
    lines: int
    check: OutputCheck
    lost: tuple[str, ...]

    def text(self) -> str:
        """Return the summary in one line."""
        check = self.check
        at = " and ".join(check.sizes)
        compared = f"outputs equal within {check.difference:.1e} at {at}" if at else "outputs not compared"
        counts = [_counted(self.layers, "layer"), f"{self.parameters:,} parameters", _counted(self.lines, "line")]
        if self.blocks:
            counts.insert(2, _counted(self.blocks, "module") + " as blocks")
        return "; ".join([f"{self.name}: {', '.join(counts)}", compared, *self.lost])

    def data(self) -> dict[str, object]:
        """Return the summary as JSON data."""
        return asdict(self)


def summarised(graph: Graph, text: str, blocks: int, check: OutputCheck, lost: tuple[str, ...]) -> ImportSummary:
    """Return the summary of a spec."""
    layers = sum(any(param.trained for param in node.reads) and not isinstance(node.op, Norm) for node in graph.running)
    return ImportSummary(graph.name, layers, count(graph).params, blocks, len(text.splitlines()), check, lost)


def lost_facts(model: SourceModel) -> tuple[str, ...]:
    """Return what is certainly missing in a file: norms that PyTorch's exporter folded into layers."""
    folded = sum(
        len(node.inputs) > 2 and bool(_COMPUTED.fullmatch(node.inputs[1]))
        for node in model.nodes
        if node.op_type in ("Conv", "ConvTranspose")
    )
    return (f"the exporter folded norms into {_counted(folded, 'layer')}",) if folded else ()


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"

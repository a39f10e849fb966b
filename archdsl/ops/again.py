"""An earlier node run again on another input, with the same weights."""

from typing import ClassVar

from pydantic import Field

from archdsl.ops.base import Example, Look, Name, Sugar


class Again(Sugar):
    """An earlier node with weights, an op or a block, run again on other inputs: `again conv1`. Both nodes share the
    weights. In the graph it becomes that node's ops.

    Shape: that of the earlier node for these inputs.
    Parameters: none of its own; it uses those of the node it names.
    MACs: those of the earlier node for these inputs.
    Errors: E0419 a node without weights, E0420 a node that it cannot reach, E0423 weights or a structure that do not
        fit these inputs.
    Source: Zhang et al. 2016 (PolyNet, poly-2 and poly-3 modules), arXiv 1611.05725, section 3.
    """

    name: ClassVar[str] = "again"
    look: ClassVar[Look] = "other"
    example: ClassVar[Example] = Example("64x28x28", "again x", before="  x: 3x3 conv 64\n")
    elsewhere: ClassVar[str] = "shared reuse tied siamese"
    arity: ClassVar[tuple[int, int | None]] = (1, None)
    positional: ClassVar[tuple[str, ...]] = ("node",)
    references: ClassVar[frozenset[str]] = frozenset(("node",))

    node: Name = Field(description="the earlier node that runs again, in the same module")

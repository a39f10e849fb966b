"""Pydantic models of the long form of a document and its composites, from which the JSON Schema is generated.

Values that `elaborate` evaluates have the types `Node` and `Expression`; the schema has its own definitions for them.
`keys` lists the names of the keys without the models, which are slow to import; a test compares both.
"""

from typing import Any, Literal, TypeAlias

from pydantic import Field

from archdsl.axes import MOST
from archdsl.language.section_models import Form, PaperForm, Preprocess

Node: TypeAlias = Any
"""A short string, a list, a mapping of named nodes, or a mapping with a head word."""
Expression: TypeAlias = int | float | bool | str
Count: TypeAlias = int | str
Refs: TypeAlias = str | tuple[str, ...]


class Common(Form):
    """The keys that every node can have."""

    repeat: Count | None = Field(None, description="number of copies")
    as_: str | None = Field(None, alias="as", description="name of each copy: {0} counts from 0, {1} from 1, and so on")
    from_: Refs | None = Field(None, alias="from", description="the nodes to read; by default the node before")
    when: Expression | None = Field(None, description="leave the node out if this is false")
    doc: str | None = Field(None, description="shown in reports and generated code")
    label: str | None = Field(None, description="its text in figures, with expressions in braces: `block {c}`")


class CallForm(Common):
    call: str = Field(description="a block of this file with its arguments: `basic(64, 2)`")


class _Composite(Common):
    then: Node = Field(None, description="a node after the composite")


class DoForm(_Composite):
    do: Node = Field(description="any node")


class ResidualForm(_Composite):
    residual: Node = Field(description="the body, whose output is added to its input")
    shortcut: Node = Field(
        None,
        description="what is added if the body changes the shape: a node, `project` (a 1x1 convolution, the default), "
        "`pad`, or nothing (`if_same_shape`); `none` never adds anything",
    )
    scale: Expression | None = Field(None, description="constant factor of the output of the body")


class BranchesForm(_Composite):
    branches: Node = Field(description="list or mapping of parallel branches")
    merge: Literal["concat", "add", "mul"] | str | None = Field(
        None, description="how to merge the outputs of the branches"
    )
    split: Count | None = Field(None, description="split the channels into n equal parts, one for each branch")


class InceptionForm(_Composite):
    inception: Node = Field(description="list or mapping of parallel branches, concatenated")
    merge: Literal["concat", "add", "mul"] | str | None = Field(
        None, description="how to merge the outputs of the branches"
    )
    split: Count | None = Field(None, description="split the channels into n equal parts, one for each branch")


class DenseForm(_Composite):
    dense: Node = Field(description="the layer, which reads the concatenation of all outputs before it")


COMPOSITES: dict[str, type[Form]] = {
    "call": CallForm,
    "do": DoForm,
    "residual": ResidualForm,
    "branches": BranchesForm,
    "inception": InceptionForm,
    "dense": DenseForm,
}


class AuxForm(Form):
    """An auxiliary head under `aux`."""

    from_: str = Field(alias="from", description="the node that the head reads")
    do: Node = Field(description="the head")
    weight: float = Field(1.0, description="its weight in the loss")


class ClaimForm(Form):
    """A claim with its own source and note."""

    value: int | float | str = Field(description="the published number: `4.09G` allows a difference of 0.005G")
    source: str | None = Field(None, description="where it was published: a table, a section, a file")
    note: str | None = Field(None, description="why it may differ")


class Claims(Form):
    """`claims`: published numbers by name."""

    source: str | None = Field(None, description="default source of the claims")
    params: Any = Field(None, description="number of parameters, without auxiliary heads")
    params_with_aux: Any = Field(None, description="number of parameters, with auxiliary heads")
    macs: Any = Field(None, description="multiply-accumulates of one sample")
    depth: Any = Field(None, description="layers with weights, as papers count them")
    top1: Any = Field(None, description="accuracy in percent; shown, not checked")
    top5: Any = Field(None, description="accuracy in percent; shown, not checked")


class Defaults(Form):
    """Defaults of ops, and `naming`."""

    naming: Literal["nested", "sibling", "flat"] | None = None


class DocumentForm(Form):
    """The top level of a spec."""

    archdsl: Literal[1] = Field(1, description="version of the language")
    name: str | None = Field(None, description="the network's name, unique over the library")
    family: str | None = Field(
        None, description="the group of networks in lists and charts; by default the name up to a digit or `_`"
    )
    task: str | None = Field(
        None, description="what it is for; by default classification if the output is a vector, else segmentation"
    )
    doc: str | None = Field(None, description="a description of the network")
    paper: PaperForm | None = Field(None, description="where the network was published")
    input: Any = Field(None, description="`3x224x224`, `12x5000`, `1x96x96x96`, `784`, `{image: [3, H=224, W=224]}`")
    axes: int | None = Field(
        None, ge=1, le=MOST, description="spread equal windows over this number of axes: 3 makes a network for volumes"
    )
    args: dict[str, Any] | None = Field(None, description="arguments of the file, with defaults")
    defaults: Any = Field(None, description="op -> its default fields, norm and activation; `naming`")
    blocks: dict[str, Any] | None = Field(None, description="`name(arg, arg=default):` and a body")
    net: Node = Field(None, description="the graph")
    aux: dict[str, AuxForm] | None = Field(None, description="auxiliary heads, in training only")
    outputs: Any = Field(None, description="output name -> node; by default the last node")
    preprocess: Literal["imagenet", "inception"] | Preprocess | None = Field(
        None, description="preprocessing of images"
    )
    labels: tuple[str, ...] | str | None = Field(
        None, description="names of the classes, or a file in the folder of the spec"
    )
    variants: dict[str, Any] | None = Field(None, description="name -> overrides")
    claims: Claims | None = Field(
        None, description="published numbers, which `archdsl check` compares with the network"
    )
    extends: str | None = Field(None, description="another spec, into which this one is merged like a variant")

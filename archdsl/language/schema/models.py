"""The long form as pydantic models: what a document and each composite may hold, the source of the JSON Schema.

Values that the elaborator evaluates are typed as `Node`, `Expression`: the schema gives those their own definitions.
`keys` holds the bare names, which every start needs; a test keeps them equal.
"""

from typing import Any, Literal, TypeAlias

from pydantic import Field

from archdsl.language.forms import Form, PaperForm, Preprocess

Node: TypeAlias = Any
"""A short string, a list, a mapping of named nodes, or a mapping with a head word."""
Expression: TypeAlias = int | float | bool | str
Count: TypeAlias = int | str
Refs: TypeAlias = str | tuple[str, ...]


class Common(Form):
    repeat: Count | None = Field(None, description="number of copies")
    as_: str | None = Field(None, alias="as", description="name of each copy; {0} counts from 0, {1} from 1, and so on")
    from_: Refs | None = Field(None, alias="from", description="the nodes read; by default the one before")
    when: Expression | None = Field(None, description="leave the node out where this is false")
    doc: str | None = Field(None, description="shown in reports and generated code")


class CallForm(Common):
    call: str = Field(description="a block of this file with its arguments: `basic(64, 2)`")


class _Composite(Common):
    then: Node = Field(None, description="a node behind the whole")


class DoForm(_Composite):
    do: Node = Field(description="any node")


class ResidualForm(_Composite):
    residual: Node = Field(description="the body: what is added to its input")
    shortcut: Node = Field(None, description="where shapes differ: a node, `pad` or `none`; default: 1x1 projection")
    scale: Expression | None = Field(None, description="constant factor of the body")


class BranchesForm(_Composite):
    branches: Node = Field(description="list or mapping of parallel branches")
    merge: Literal["concat", "add", "mul"] | str | None = Field(None, description="how they become one")
    split: Count | None = Field(None, description="each branch gets its n-th of the channels")


class InceptionForm(_Composite):
    inception: Node = Field(description="list or mapping of parallel branches, concatenated")
    merge: Literal["concat", "add", "mul"] | str | None = Field(None, description="how they become one")
    split: Count | None = Field(None, description="each branch gets its n-th of the channels")


class DenseForm(_Composite):
    dense: Node = Field(description="the layer: reads the concatenation of all before it")


COMPOSITES: dict[str, type[Form]] = {
    "call": CallForm,
    "do": DoForm,
    "residual": ResidualForm,
    "branches": BranchesForm,
    "inception": InceptionForm,
    "dense": DenseForm,
}


class AuxForm(Form):
    from_: str = Field(alias="from", description="the node that the head reads")
    do: Node = Field(description="the head")
    weight: float = Field(1.0, description="its weight in the loss")


class ClaimForm(Form):
    value: int | float | str = Field(description="as it was published: `4.09G` allows 0.005G")
    source: str | None = Field(None, description="where: a table, a section, a file")
    note: str | None = Field(None, description="why it may differ")


class Claims(Form):
    source: str | None = Field(None, description="where, of all claims that name no source of their own")
    params: Any = Field(None, description="trained numbers, auxiliary heads not counted")
    params_with_aux: Any = Field(None, description="trained numbers, auxiliary heads counted")
    macs: Any = Field(None, description="multiply-accumulates of one sample")
    depth: Any = Field(None, description="layers with weights, as papers count them")
    top1: Any = Field(None, description="accuracy in percent; shown, not checked")
    top5: Any = Field(None, description="accuracy in percent; shown, not checked")


class Defaults(Form):
    """Kind -> what is written behind it; and `naming`."""

    naming: Literal["nested", "sibling", "flat"] | None = None


class DocumentForm(Form):
    archdsl: Literal[1] = Field(1, description="version of the language")
    name: str | None = Field(None, description="the network's name, unique over the library")
    family: str | None = Field(
        None, description="the networks that it is listed with; default: its name up to a digit or `_`"
    )
    doc: str | None = Field(None, description="a sentence on the network")
    paper: PaperForm | None = Field(None, description="where the network was published")
    input: Any = Field(None, description="`3x224x224`, `784`, `{image: [3, H=224, W=224]}`")
    args: dict[str, Any] | None = Field(None, description="parameters of the file, with defaults")
    defaults: Any = Field(None, description="kind -> what is written behind it; `naming`")
    blocks: dict[str, Any] | None = Field(None, description="`name(arg, arg=default):` and a body")
    net: Node = Field(None, description="the graph")
    aux: dict[str, AuxForm] | None = Field(None, description="auxiliary heads, in training only")
    outputs: Any = Field(None, description="name -> node; by default the last node")
    preprocess: Literal["imagenet", "inception"] | Preprocess | None = Field(
        None, description="how an image becomes the input"
    )
    labels: tuple[str, ...] | str | None = Field(None, description="names of the classes, or a file beside the spec")
    variants: dict[str, Any] | None = Field(None, description="name -> overrides")
    claims: Claims | None = Field(None, description="published numbers, held against the truth")
    extends: str | None = Field(None, description="another spec, merged like a variant")

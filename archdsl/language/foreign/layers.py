"""The layers of other tools: for each, the op that it stands for, its arguments, and defaults that differ from ours.

An argument is named after the field of the op that it sets. Further names: `in` (input channels, which a spec
implies), `x` (the input itself), `axis`, `act` and `norm`, `_` (an argument without influence here), `!field` (a
boolean with the opposite meaning), `1-field` (the weight of the other term: Keras' momentum).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from archdsl.language.hints import ELSEWHERE, FIELDS_ELSEWHERE
from archdsl.ops import OPS_BY_NAME


class Row(NamedTuple):
    """A layer of another tool. `op` is an op, or a name in `convert.SPECIAL`."""

    tool: str
    op: str
    params: tuple[str, ...]
    defaults: dict[str, Any]


_TABLE = """
PyTorch     Conv2d                          conv         in out kernel stride pad dilation groups bias      pad=0
PyTorch     ConvTranspose2d                 deconv       in out kernel stride pad extra groups bias dilation pad=0
PyTorch     Linear                          fc           in out bias
PyTorch     MaxPool2d                       maxpool      kernel stride pad dilation _ ceil
PyTorch     max_pool2d                      maxpool      x kernel stride pad dilation ceil
PyTorch     AvgPool2d                       avgpool      kernel stride pad ceil !inside
PyTorch     avg_pool2d                      avgpool      x kernel stride pad ceil !inside
PyTorch     AdaptiveAvgPool2d               avgpool      kernel adaptive=True
PyTorch     adaptive_avg_pool2d             avgpool      x kernel adaptive=True
PyTorch     BatchNorm2d,BatchNorm1d         bn           in eps momentum affine
PyTorch     GroupNorm                       gn           groups in eps
PyTorch     LayerNorm                       ln           in eps
PyTorch     InstanceNorm2d                  instancenorm in eps _ affine
PyTorch     LocalResponseNorm               lrn          size alpha beta k
PyTorch     Dropout                         dropout      p _
PyTorch     dropout                         dropout      x p
PyTorch     ReLU,ReLU6,SiLU,Hardswish,Hardsigmoid,Sigmoid,Tanh =  _
PyTorch     relu,relu6,silu,gelu,hardswish,hardsigmoid,sigmoid,tanh = x
PyTorch     GELU                            gelu
PyTorch     PReLU                           prelu        _
PyTorch     LeakyReLU                       leaky_relu   slope _
PyTorch     leaky_relu                      leaky_relu   x slope
PyTorch     ELU                             elu          alpha _
PyTorch     elu                             elu          x alpha
PyTorch     Softmax                         softmax      axis
PyTorch     softmax                         softmax      x axis
PyTorch     Upsample                        upsample     size scale mode
PyTorch     UpsamplingNearest2d             upsample     size scale
PyTorch     interpolate                     upsample     x size scale mode
PyTorch     Flatten                         flatten      axis _
PyTorch     flatten                         flatten      x axis _
PyTorch     Identity                        identity
PyTorch     ZeroPad2d                       torch_pad    pixels
PyTorch     ChannelShuffle                  shuffle      groups
PyTorch     cat,concat                      concat       x axis
PyTorch     add                             add          x
PyTorch     mul                             mul          x
Keras       Conv2D                          conv         out kernel stride pad _ dilation groups act bias  pad=0
Keras       Conv2DTranspose                 deconv       out kernel stride pad extra _ dilation act bias   pad=0
Keras       SeparableConv2D                 separable    out kernel stride pad _ dilation multiplier act bias pad=0
Keras       DepthwiseConv2D                 dwconv       kernel stride pad multiplier _ dilation act bias  pad=0
Keras       Dense                           fc           out act bias
Keras       MaxPooling2D,MaxPool2D          maxpool      kernel stride pad                                 kernel=2
Keras       AveragePooling2D,AvgPool2D      avgpool      kernel stride pad                      kernel=2 inside=True
Keras       GlobalAveragePooling2D,GlobalAvgPool2D gap   _ _
Keras       BatchNormalization              bn           axis 1-momentum eps             eps=0.001 momentum=0.01
Keras       LayerNormalization              ln           axis eps                                  eps=0.001
Keras       GroupNormalization              gn           groups axis eps                           eps=0.001
Keras       Activation                      activation   act
Keras       ZeroPadding2D                   keras_pad    pixels                                 pixels=1
Keras       UpSampling2D                    upsample     scale _ mode                           scale=2
Keras       Add,Concatenate,Multiply        merge        axis
Keras       concatenate                     concat       x axis
Keras       multiply                        mul          x
Caffe       Convolution                     conv         _                                      pad=0
Caffe       Deconvolution                   deconv       _                                      pad=0
Caffe       InnerProduct                    fc           _
Caffe       Pooling                         pooling      pool kernel stride pad                 stride=1 ceil=True
Caffe       LRN                             lrn          size alpha beta k                      alpha=1.0
Caffe       TanH                            tanh         _
Caffe       Eltwise                         eltwise      operation
Caffe       Concat                          concat       _
Darknet     [convolutional]                 darknet_conv _
Darknet     [maxpool]                       darknet_pool _
Darknet     [avgpool]                       gap          _
Darknet     [connected]                     darknet_fc   _
Darknet     [upsample]                      upsample     _                                      scale=2
Darknet     [dropout]                       dropout      _
Darknet     [softmax]                       softmax      _
Ultralytics =Conv                           conv         out kernel stride pad groups  kernel=1 norm=bn act=silu
Ultralytics =Concat                         concat       _
"""
IGNORED = frozenset(
    """
    _ x in name id inplace trainable dtype device data_format return_indices input_shape
    weight_filler bias_filler kernel_initializer bias_initializer depthwise_initializer pointwise_initializer
    lr_mult decay_mult param top bottom inputs batch_input_shape stop_backward engine phase include
    """.split()
)
"""Arguments that change nothing that a spec states: they are left out without a note."""


def value(text: str) -> Any:
    """Return the value of a default: a number, true, or a word."""
    if text == "True":
        return True
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _table() -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for line in _TABLE.strip().splitlines():
        tool, names, op, *words = line.split()
        params = tuple(word for word in words if "=" not in word)
        defaults = {k: value(v) for k, _, v in (word.partition("=") for word in words if "=" in word)}
        for name in names.split(","):
            target = ELSEWHERE.get(name.lower().replace("_", ""), name.lower()) if op in ("=", "merge") else op
            rows.setdefault(name, Row(tool, target, params, defaults))
    return rows


ROWS = _table()
"""`=` before a name: a row of an Ultralytics file; brackets: a section of a Darknet file."""
_BY_LOWER = {name.lower(): name for name in reversed(ROWS)}
_PREFIX = {
    **dict.fromkeys(("tf", "tensorflow", "keras", "layers", "activations"), "Keras"),
    **dict.fromkeys(("torch", "nn", "F", "functional"), "PyTorch"),
}
_KERAS = {"LeakyReLU": {"slope": 0.3}}
"""Defaults of Keras for layers of which PyTorch has one with the same name."""


def find(dotted: str) -> Row | None:
    """Return the row of a layer's name, with its prefix if it has one: `nn.Conv2d`, `Conv2D`, `conv2d`; or of an op."""
    *prefix, name = dotted.split(".")
    if not set(prefix) <= set(_PREFIX):
        return None  # another library, with other arguments
    row = ROWS.get(name) or ROWS.get(_BY_LOWER.get(name.lower(), ""))
    tool = next((_PREFIX[p] for p in prefix), "")
    if row is not None and (prefix or name not in OPS_BY_NAME):
        if tool == "Keras" and row.tool == "PyTorch":
            return row._replace(tool=tool, defaults={**row.defaults, **_KERAS.get(name, {})})
        return row
    plain = name.lower().replace("_", "")
    own = next((op for op in (name, plain, ELSEWHERE.get(plain)) if op in OPS_BY_NAME), None)
    if own is None:
        return None
    fields = OPS_BY_NAME[own].model_fields
    return Row("", own, (*OPS_BY_NAME[own].positional, *(f for f in ("kernel", "stride") if f in fields)), {})


def field_of(keyword: str, row: Row) -> str | None:
    """Return the argument that a keyword sets; None if the op has nothing like it."""
    op = OPS_BY_NAME.get(row.op)
    known = {*(op.model_fields if op else ()), *row.params, *row.defaults, "in", "act", "norm", "axis"}
    changed = {param.lstrip("!1-"): param for param in row.params if param[0] in "!1"}
    if keyword in changed or keyword in known or (keyword in IGNORED and keyword != "x"):
        return changed.get(keyword, keyword)
    if op is None:
        known |= {"out", "kernel", "stride", "pad", "dilation", "groups", "bias", "multiplier", "operation", "size"}
    known |= {*changed}
    own = next((f for f, names in FIELDS_ELSEWHERE.items() if keyword in names.split() and f in known), None)
    if own is None:
        return keyword if keyword in known else None
    return changed.get(own, own)

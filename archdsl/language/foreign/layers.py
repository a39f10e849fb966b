"""The layers of other tools: for each, the op that it stands for, its arguments, and defaults that differ from ours.

An argument is named after the field of the op that it sets. Further names: `in` (input channels, which a spec
implies), `x` (the input itself), `axis`, `act` and `norm`, `_` (an argument without influence here). Before a `:` is
the name in `CHANGES` of a function that converts the value; `case:pool` selects the row `Pooling:AVE`.
`type:BatchNorm` is the name only where it is written as a `type`. `ConvNd` is `Conv1d`, `Conv2d` and `Conv3d`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from archdsl.axes import IMAGE, KINDS, RANKED, without_axes
from archdsl.language.hints import ELSEWHERE, FIELDS_ELSEWHERE, op_elsewhere
from archdsl.ops import OPS_BY_NAME


class Row(NamedTuple):
    """A layer of another tool, and its op. Without a tool: an op of archdsl."""

    tool: str
    name: str
    op: str
    params: tuple[str, ...]
    defaults: dict[str, Any]
    axes: int = 0
    """The axes of its windows; 0 if it has none, or those of its input."""


_TABLE = """
PyTorch     ConvNd                          conv         in out kernel stride pad dilation groups bias      pad=0
PyTorch     ConvTransposeNd                 deconv       in out kernel stride pad extra groups bias dilation pad=0
PyTorch     Linear                          fc           in out bias
PyTorch     MaxPoolNd                       maxpool      kernel stride pad dilation _ ceil
PyTorch     max_poolNd                      maxpool      x kernel stride pad dilation ceil
PyTorch     AvgPoolNd                       avgpool      kernel stride pad ceil not:inside
PyTorch     avg_poolNd                      avgpool      x kernel stride pad ceil not:inside
PyTorch     AdaptiveAvgPoolNd               avgpool      kernel adaptive=True
PyTorch     adaptive_avg_poolNd             avgpool      x kernel adaptive=True
PyTorch     BatchNormNd                    bn           in eps momentum affine track_running_stats
PyTorch     GroupNorm                       gn           groups in eps
PyTorch     LayerNorm                       ln           in eps elementwise_affine
PyTorch     InstanceNormNd                  instancenorm in eps _ affine
PyTorch     LocalResponseNorm               lrn          size alpha beta k
PyTorch     Dropout                         dropout      p _
PyTorch     dropout                         dropout      x p
PyTorch     ReLU,ReLU6,SiLU,Mish,Hardswish,Hardsigmoid,Sigmoid,Tanh,SELU,Softsign = _
PyTorch     relu,relu6,silu,mish,hardswish,hardsigmoid,sigmoid,tanh,selu,softsign = x
PyTorch     CELU                            celu         alpha _
PyTorch     celu                            celu         x alpha
PyTorch     Softplus                        softplus     beta threshold
PyTorch     softplus                        softplus     x beta threshold
PyTorch     Hardtanh                        clip         low high _                         low=-1.0 high=1.0
PyTorch     hardtanh                        clip         x low high                         low=-1.0 high=1.0
PyTorch     clamp                           clip         x low high
PyTorch     GELU                            gelu         tanh:approximate
PyTorch     gelu                            gelu         x tanh:approximate
PyTorch     PReLU                           prelu        num_parameters _                num_parameters=1
PyTorch     LeakyReLU                       leaky_relu   slope _
PyTorch     leaky_relu                      leaky_relu   x slope
PyTorch     ELU                             elu          alpha _
PyTorch     elu                             elu          x alpha
PyTorch     Softmax                         softmax      axis
PyTorch     softmax                         softmax      x axis
PyTorch     LogSoftmax                      log_softmax  axis
PyTorch     log_softmax                     log_softmax  x axis
PyTorch     SoftmaxNd                       softmax
PyTorch     PixelShuffle,PixelUnshuffle     =            scale
PyTorch     pixel_shuffle                   pixelshuffle x scale
PyTorch     pixel_unshuffle                 pixelunshuffle x scale
PyTorch     Upsample                        upsample     size scale linear:mode
PyTorch     UpsamplingNearestNd             upsample     size scale
PyTorch     interpolate,upsample            upsample     x size scale linear:mode
PyTorch     Flatten                         flatten      axis _
PyTorch     flatten                         flatten      x axis _
PyTorch     Identity                        identity
PyTorch     ZeroPadNd                       pad          lrtb:pixels
PyTorch     ConstantPadNd                   pad          lrtb:pixels value
PyTorch     ReflectionPadNd                 pad          lrtb:pixels mode=reflect
PyTorch     ReplicationPadNd                pad          lrtb:pixels mode=replicate
PyTorch     CircularPadNd                   pad          lrtb:pixels mode=wrap
PyTorch     pad                             pad          x lrtb:pixels wrap:mode value
PyTorch     ChannelShuffle                  shuffle      groups
PyTorch     cat,concat                      concat       x axis
PyTorch     add                             add          x
PyTorch     mul                             mul          x
PyTorch     sub,subtract                    sub          x
PyTorch     div,divide,true_divide          div          x
PyTorch     maximum                         maximum      x
PyTorch     minimum                         minimum      x
Keras       ConvND                          conv         out kernel stride pad _ dilation groups act bias  pad=0
Keras       ConvNDTranspose                 deconv       out kernel stride pad extra _ dilation act bias   pad=0
Keras       SeparableConvND                 dwconv       out kernel stride pad _ dilation multiplier act bias pad=0
Keras       DepthwiseConvND                 dwconv       kernel stride pad multiplier _ dilation act bias  pad=0
Keras       Dense                           fc           out act bias
Keras       MaxPoolingND,MaxPoolND          maxpool      kernel stride pad                                 kernel=2
Keras       AveragePoolingND,AvgPoolND      avgpool      kernel stride pad                      kernel=2 inside=True
Keras       GlobalAveragePoolingND,GlobalAvgPoolND gap   _ _
Keras       BatchNormalization              bn           axis rest:momentum eps center scale  eps=0.001 momentum=0.01
Keras       LayerNormalization              ln           axis eps center scale                    eps=0.001
Keras       GroupNormalization              gn           groups axis eps center scale             eps=0.001
Keras       Activation                      identity     act
Keras       relu,sigmoid,tanh,selu,softplus,softsign,mish,softmax,log_softmax,silu = x
Keras       hard_sigmoid                    hardsigmoid  x
Keras       depth_to_space                  pixelshuffle x scale
Keras       space_to_depth                  pixelunshuffle x scale
Keras       ReLU                            relu         max_value slope threshold
Keras       PReLU                           prelu        _ _ _ shared_axes
Keras       LeakyReLU                       leaky_relu   slope                                     slope=0.3
Keras       leaky_relu                      leaky_relu   x slope                                   slope=0.2
Keras       ZeroPaddingND                   pad          pairs:pixels                              pixels=1
Keras       Cropping1D,Cropping3D           pad          crops:pixels                                      pixels=-1
Keras       Cropping2D                      pad          crops:pixels
Keras       UpSamplingND                    upsample     scale _ linear:mode                    scale=2
Keras       Add,Concatenate,Multiply        =            axis
Keras       concatenate                     concat       x axis
Keras       multiply                        mul          x
Keras       Subtract,Maximum,Minimum        =
Keras       GlobalMaxPoolingND,GlobalMaxPoolND gmp       _ _
Caffe       Convolution                     conv         _                                      pad=0
Caffe       Deconvolution                   deconv       _                                      pad=0
Caffe       InnerProduct                    fc           _
Caffe       Pooling,Pooling:MAX             maxpool      case:pool kernel stride pad            stride=1 ceil=True
Caffe       Pooling:AVE                     avgpool      case:pool kernel stride pad            stride=1 ceil=True
Caffe       ReLU                            relu         slope
Caffe       type:BatchNorm                  bn           _                                      affine=false
Caffe       LRN                             lrn          size alpha beta k                      alpha=1.0
Caffe       TanH                            tanh         _
Caffe       Eltwise,Eltwise:SUM             add          case:operation
Caffe       Eltwise:PROD                    mul          case:operation
Caffe       Eltwise:MAX                     maximum      case:operation
Caffe       AbsVal                          abs
Caffe       Concat                          concat       _
Darknet     [convolutional]                 conv         half:pad padding          kernel=1 pad=0 act=logistic
Darknet     [maxpool]                       maxpool      _                                  stride=1 pad=half
Darknet     [avgpool]                       gap          _
Darknet     [connected]                     fc           _                                      act=logistic
Darknet     [upsample]                      upsample     _                                      scale=2
Darknet     [dropout],[softmax]             =            _
Darknet     leaky                           leaky_relu   _                                      slope=0.1
Darknet     logistic                        sigmoid      _
timm        BlurPoolNd                      blurpool     in kernel stride                  kernel=3 stride=2
timm        StdConvNd       conv in out kernel stride pad dilation groups bias eps       bias=False eps=1e-06
timm        ScaledStdConvNd conv in out kernel stride pad dilation groups bias gamma eps _ gamma=1.0 eps=1e-06
Ultralytics Conv                            conv         out kernel stride pad groups  kernel=1 norm=bn act=silu
"""
IGNORED = frozenset(
    """_ x in name id inplace trainable dtype device data_format return_indices input_shape
    weight_filler bias_filler kernel_initializer bias_initializer depthwise_initializer pointwise_initializer
    lr_mult decay_mult param top bottom inputs batch_input_shape stop_backward engine phase include""".split()
)
"""Arguments that change nothing that a spec states: they are left out without a note."""


def _pairs(p: Any) -> Any:
    return p if isinstance(p, int) else tuple(s[i] if isinstance(s, tuple) else s for i in (0, 1) for s in p)


def _negative(p: Any) -> Any:
    return -p if isinstance(p, int) else tuple(-side for side in p)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "not": operator.not_,
    "rest": lambda momentum: round(1 - momentum, 6),
    "tanh": lambda form: form in ("tanh", True),
    "half": lambda pad: "half" if pad == 1 else pad,
    "lrtb": lambda p: p if isinstance(p, int) else (*p[-2::-2], *p[:0:-2]),
    "pairs": _pairs,
    "crops": lambda p: _negative(_pairs(p)),
    "linear": lambda mode: {"bicubic": "cubic", **dict.fromkeys((k.linear for k in KINDS), "linear")}.get(mode, mode),
    "wrap": lambda mode: "wrap" if mode == "circular" else mode,
}
"""Values with another meaning: the opposite; the weight of the other term; the name of a form; Darknet's padding;
sides from the last axis to the first (PyTorch), and as `((top, bottom), (left, right))` or `(rows, columns)` (Keras);
PyTorch's names of interpolation and of padding."""


def value(text: str) -> Any:
    """Return the number, boolean or word that a text writes."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def _rows() -> list[Row]:
    rows = []
    for line in _TABLE.strip().splitlines():
        tool, names, op, *words = line.split()
        params = tuple(word for word in words if "=" not in word)
        defaults = {k: value(v) for k, _, v in (word.partition("=") for word in words if "=" in word)}
        for name in names.split(","):
            plain = name.lower().strip("[]")
            axes = 0 if tool in ("PyTorch", "Keras", "timm") else KINDS.index(IMAGE)
            rows.append(Row(tool, name, ELSEWHERE.get(plain, plain) if op == "=" else op, params, defaults, axes))
    return rows


ROWS = _rows()
COMMON = ("PyTorch", "Keras", "Caffe", "Darknet", "timm")
"""Tools whose names are known without their prefix."""
_PREFIXES = {"Keras": "tf tensorflow keras layers activations", "PyTorch": "torch nn F functional", "Ultralytics": ""}
_PREFIX = {prefix: tool for tool in (*COMMON, *_PREFIXES) for prefix in (tool, *_PREFIXES.get(tool, "").split())}


def find(dotted: str) -> Row | None:
    """Return the row of a layer's name, with its prefix if it has one: `nn.Conv2d`, `Conv2D`, `conv2d`; or of an op."""
    *prefix, name = dotted.split(".")
    if not set(prefix) <= set(_PREFIX):
        return None  # another library, with other arguments
    tool = next((_PREFIX[p] for p in prefix), "")
    axes, general = without_axes(name)[1], re.sub(RANKED, lambda match: f"N{match[0][1]}", name)
    rows = [row for row in ROWS if row.name.lower() in (name.lower(), general.lower()) and row.tool in (tool, *COMMON)]
    if rows and (tool or name not in OPS_BY_NAME):
        row = max(rows, key=lambda row: (row.tool == tool, row.name == general))
        return row._replace(tool=tool or row.tool, axes=axes or row.axes)
    plain = name.lower().replace("_", "")
    own = next((OPS_BY_NAME[op] for op in (name, plain, op_elsewhere(plain)) if op in OPS_BY_NAME), None)
    if own is None:
        return None
    windows = tuple(field for field in ("kernel", "stride") if field in own.model_fields)
    return Row("", own.name, own.name, (*own.positional, *windows), {}, axes)


def field_of(keyword: str, row: Row) -> str | None:
    """Return the argument that a keyword sets; None if the op has nothing like it."""
    params = {param.rpartition(":")[2]: param for param in row.params}
    known = {*OPS_BY_NAME[row.op].model_fields, *params, *row.defaults, "in", "act", "norm", "axis", *IGNORED} - {"x"}
    elsewhere = (field for field, names in FIELDS_ELSEWHERE.items() if keyword in names.split())
    name = next((name for name in (keyword, *elsewhere) if name in known), None)
    return None if name is None else params.get(name, name)

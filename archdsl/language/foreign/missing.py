"""Layers and words that archdsl knows of but does not have, with the reason or what to write instead."""

from __future__ import annotations

from archdsl.axes import without_axes

_POSITIONS = "attention over positions (matrix products of tensors, reshape, transpose) is not part of the language"
_STEPS = "recurrent layers are not part of the language"
_BLOCK = "it is not an op: define it under `blocks:`; `archdsl expand {}` prints a network that has it"
_SKIP = "a skip connection is `add <- a, b` or the head word `residual:`"

_REASONS: dict[str, str] = {
    "attention multiheadattention mha selfattention crossattention transformer transformerencoderlayer "
    "transformerencoder vit swin matmul mm bmm einsum dot reshape view permute transpose rearrange squeeze unsqueeze "
    "expand patchembed positionalencoding scaleddotproductattention": _POSITIONS,
    "lstm gru rnn lstmcell grucell simplernn bidirectional convlstm timedistributed": _STEPS,
    "embedding embeddingbag tokenizer textvectorization": "indices of words are not part of the language: "
    "an input is a vector, a signal, an image or a volume",
    "grn globalresponsenorm cbam eca attentiongate film scse globalcontext selectivekernel splitattention": "it is not "
    'an op: the language page, "Attention and gates", has a block for it',
    "adaptivemaxpool": "the maximum over all pixels is `gmp`; of a window, `2x2 maxpool`",
    "glu swiglu threshold softmin softshrink "
    "thresholdedrelu rrelu logsigmoid tanhshrink": "this activation is not part of the language; similar ones are "
    "`silu`, `elu`, `gelu` and `relu6`",
    "pow sqrt exp log reciprocal": "the language has no such function; the elementwise merges are `add`, `sub`, `mul`, "
    "`div`, `maximum` and `minimum`",
    "globalaverage": "the mean over all pixels is `gap`",
    "dropout1d dropout2d dropout3d spatialdropout alphadropout gaussiannoise "
    "gaussiandropout dropblock": "it acts in training only, and "
    "the language has `dropout` (single values) and `droppath` (whole branches)",
    "spectralnorm weightnorm": "norms of weights are not part of the language",
    "weightstandardization wsconv standardizedconv": "write `3x3 conv 64 standardized`",
    "fold unfold im2col deformconv dcn gridsample roialign roipool nms upsamplelike": (
        "this op is not part of the language"
    ),
    "lambda function custom autograd": "a spec contains ops and blocks, and no code",
    "resblock residualblock basicblock bottleneck bottleneckblock resnetblock identityblock convblock": _BLOCK.format(
        "resnet18"
    ),
    "mbconv invertedresidual fusedmbconv sepconv": _BLOCK.format("efficientnet_b0"),
    "seblock squeezeexcite squeezeexcitation selayer se": _BLOCK.format("se_resnet50"),
    "denseblock denselayer transitionlayer": _BLOCK.format("densenet121"),
    "inceptionblock inceptionmodule fire firemodule": _BLOCK.format("googlenet"),
    "convnextblock cnblock": _BLOCK.format("convnext_tiny"),
    "doubleconv unetblock upblock downblock": _BLOCK.format("unet"),
    "c2f c3 c3k2 sppf spp c2psa detect segment bottleneckcsp yolo elan": "it is not an op: define it under `blocks:`",
    "skip skipconnection shortcut": _SKIP,
    "route": "`concat <- a, b` joins the channels of the nodes `a` and `b`",
    "loss crossentropy crossentropyloss mseloss softmaxwithloss optimizer adam sgd": "a spec describes a network, and "
    "not how it is trained",
}
MISSING = {word: reason for words, reason in _REASONS.items() for word in words.split()}
"""Words, in lower case without `_`, `-` and `2d`, and the reason or the workaround."""


def why_missing(word: str) -> str:
    """Return why there is no such op, or what to write instead; empty for other words."""
    key = word.rpartition(".")[2].lower().replace("_", "").replace("-", "")
    return MISSING.get(key) or MISSING.get(without_axes(key)[0], "")

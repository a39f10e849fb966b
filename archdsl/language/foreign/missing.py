"""Layers and words that archdsl knows of but does not have, with the reason or what to write instead."""

from __future__ import annotations

from archdsl.axes import without_axes

_POSITIONS = "attention over positions (matrix products of tensors, reshape, transpose) is not part of the language"
_STEPS = "recurrent layers are not part of the language"
_BLOCK = "it is not an op: define it under `blocks:`; `archdsl expand {}` prints a network that has it"
_GATES = 'it is not an op: the language page, "Attention and gates", has a block for it'
_SKIP = "a skip connection is `add <- a, b` or the head word `residual:`"
_FUNCTION = "it is not part of the language: the ops compute sums, products and functions of single values"

_REASONS: dict[str, str] = {
    "attention multiheadattention mha selfattention crossattention transformer transformerencoderlayer "
    "transformerencoder vit swin matmul mm bmm einsum dot reshape view permute transpose rearrange squeeze unsqueeze "
    "expand patchembed positionalencoding scaleddotproductattention batchmatmul": _POSITIONS,
    "lstm gru rnn lstmcell grucell simplernn bidirectional convlstm timedistributed": _STEPS,
    "embedding embeddingbag tokenizer textvectorization onehot": "indices of words are not part of the language: "
    "an input is a vector, a signal, an image or a volume",
    "batch batchsize batchoperation batchoperations": "every op computes each sample of a batch by itself, and the "
    "batch is not a size in a spec",
    "grn globalresponsenorm cbam eca ecamodule attentiongate film scse globalcontext selectivekernel "
    "splitattention": _GATES,
    "aspp": _BLOCK.format("deeplabv3_mobilenet_v3_large"),
    "adaptivemaxpool": "the maximum over all pixels is `gmp`; of a window, `2x2 maxpool`",
    "depthtospace spacetodepth": "`pixelshuffle 2` and `pixelunshuffle 2` have PyTorch's order of the channels (CRD in "
    "ONNX); that of TensorFlow is another",
    "glu swiglu threshold softmin softshrink hardshrink thresholdedrelu rrelu logsigmoid tanhshrink": "this activation "
    "is not part of the language; similar ones are `silu`, `elu`, `gelu` and `softplus`",
    "pow sqrt exp log reciprocal": "the language has no such function; the elementwise merges are `add`, `sub`, `mul`, "
    "`div`, `maximum` and `minimum`",
    "argmax topk sort": "`softmax` gives the probability of each class; the largest is chosen outside of the network",
    "cumsum fft fft2 fftn ifft rfft stft spectrogram dct where roll": _FUNCTION,
    "gather indexselect take": "`slice 0 16` selects channels, and `shuffle 2` reorders them",
    "crop centercrop cropping": "a negative `pad` crops: `pad -4 <- a` removes 4 pixels at each side",
    "sepconv": "write `[3x3 dwconv nobias, 1x1 conv 128]`",
    "stack": "`concat <- a, b` joins channels; no op adds an axis",
    "tile repeat repeatvector": "`concat <- a, a` repeats channels, `upsample 2` repeats pixels, and `2 * relu` a node",
    "globalaverage": "the mean over all pixels is `gap`",
    "dropout1d dropout2d dropout3d spatialdropout alphadropout gaussiannoise "
    "gaussiandropout dropblock": "it acts in training only, and "
    "the language has `dropout` (single values) and `droppath` (whole branches)",
    "spectralnorm weightnorm": "norms of weights that are kept between steps of training are not part of the language; "
    "`3x3 conv 64 standardized` computes with standardized filters",
    "weightstandardization wsconv standardizedconv": "write `3x3 conv 64 standardized`",
    "fold unfold im2col deformconv deformableconv deformableconvolution dcn gridsample roialign roipool nms "
    "nonmaxsuppression upsamplelike": "this op is not part of the language",
    "lambda function custom autograd": "a spec contains ops and blocks, and no code",
    "resblock residualblock basicblock bottleneck bottleneckblock resnetblock identityblock convblock": _BLOCK.format(
        "resnet18"
    ),
    "mbconv invertedresidual fusedmbconv": _BLOCK.format("efficientnet_b0"),
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

_BETWEEN = str.maketrans("", "", "_- ")


def why_missing(word: str) -> str:
    """Return why there is no such op, or what to write instead; empty for other words."""
    key = word.rpartition(".")[2].lower().translate(_BETWEEN)
    return MISSING.get(key) or MISSING.get(without_axes(key)[0], "")

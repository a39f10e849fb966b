"""The examples of the language page, word for word, and what each lacks to be a whole spec."""

from __future__ import annotations

import textwrap

VGG = """\
name: vgg16
input: 3x224x224
defaults: {conv: relu, fc: relu, naming: flat}
net:
  features:
    - 2 * 3x3 conv 64
    - 2x2 maxpool
    - 2 * 3x3 conv 128
    - 2x2 maxpool
    - 3 * 3x3 conv 256
    - 2x2 maxpool
    - 3 * 3x3 conv 512
    - 2x2 maxpool
    - 3 * 3x3 conv 512
    - 2x2 maxpool
  avgpool: 7x7 avgpool adaptive
  classifier:
    - fc 4096
    - dropout 0.5
    - fc 4096
    - dropout 0.5
    - fc 1000 linear
"""

RESNET = """\
name: resnet50
input: 3x224x224
args: {block: bottleneck, n: [3, 4, 6, 3], g: 1, base: 64, classes: 1000}
defaults: {conv: bn relu, naming: sibling}
blocks:
  basic(w, s=1):
    residual:
      conv1: 3x3 conv w /s
      conv2: 3x3 conv w linear
    then: relu
  bottleneck(w, s=1):
    residual:
      conv1: 1x1 conv w*base//64*g
      conv2: 3x3 conv w*base//64*g /s groups=g
      conv3: 1x1 conv 4*w linear
    then: relu
net:
  conv1: 7x7 conv 64 /2
  maxpool: 3x3 maxpool /2 pad=1
  layer1: n[0] * block(64)
  layer2: n[1] * block(128, 2 if first else 1)
  layer3: n[2] * block(256, 2 if first else 1)
  layer4: n[3] * block(512, 2 if first else 1)
  avgpool: gap
  fc: fc classes
variants:
  resnet18: {block: basic, n: [2, 2, 2, 2]}
  resnet101: {n: [3, 4, 23, 3]}
  resnext50_32x4d: {g: 32, base: 4}
  wide_resnet50_2: {base: 128}
"""

GOOGLENET = """\
defaults: {conv: bn relu, bn: {eps: 0.001}, maxpool: ceil}     # GoogLeNet
blocks:
  inception(a, b1, b2, c1, c2, d):
    inception:
      branch1: 1x1 conv a
      branch2: [1x1 conv b1, 3x3 conv b2]
      branch3: [1x1 conv c1, 3x3 conv c2]                      # the paper says 5x5; torchvision's weights use 3x3: ship both
      branch4: [3x3 maxpool /1 pad=1, 1x1 conv d]
net:
  inception3a: inception(64, 96, 128, 16, 32, 32)
aux:
  aux1: {from: inception4a, do: aux, weight: 0.3}
"""  # noqa: E501
GOOGLENET_WHOLE = GOOGLENET.replace("net:\n", "  aux: [gap, fc 10]\nnet:\n").replace(
    "32, 32)\n", "32, 32)\n  inception4a: inception(8, 8, 8, 8, 8, 8)\n"
)

DENSENET = """\
defaults: {conv: nobias}                                       # DenseNet
blocks:
  layer: {norm1: bn relu, conv1: 1x1 conv 4*k, norm2: bn relu, conv2: 3x3 conv k}
  transition: {norm: bn relu, conv: 1x1 conv in//2, pool: 2x2 avgpool}
net:
  features:
    denseblock1: dense n[0] * layer as denselayer{1}
    transition1: transition
"""

MOBILENET = """\
blocks:                                                        # MobileNetV3; rows: [kernel, expansion, out, SE, activation, stride]
  excite(mid, c=in):
    branches: [identity, {avgpool: gap, fc1: 1x1 conv mid plain relu, fc2: 1x1 conv c plain hardsigmoid}]
    merge: mul
  bneck(k, e, c, se, a, s):
    residual:
      block:
        - - 1x1 conv e act=a when e != in
        - - dwconv kernel=k /s act=a
        - excite(divisible(e//4, 8)) when se
        - - 1x1 conv c linear
    shortcut: if_same_shape
net:
  features:
    - - 3x3 conv 16 /2
    - len(rows) * bneck(*rows[i])
    - - 1x1 conv 6*in
"""  # noqa: E501

UNET = """\
blocks:                                                        # U-Net
  double(c): {double_conv: [3x3 conv c, 3x3 conv c]}
  up(c) <- x, skip:
    up: 2x2 deconv c /2 plain
    cat: concat <- skip, up
    conv: double(c)
net:
  up1: up(8*w) <- down4, down3
"""
UNET_WHOLE = UNET.replace("net:\n", "net:\n  down3: 3x3 conv 8*w\n  down4: 3x3 conv 16*w /2\n")

WHOLE = {
    "vgg": VGG,
    "resnet": RESNET,
    "googlenet": "input: 3x64x64\n" + GOOGLENET_WHOLE,
    "densenet": "input: 64x56x56\nargs: {n: [6], k: 32}\n" + DENSENET,
    "mobilenet": textwrap.dedent("""\
        input: 3x64x64
        args: {rows: [[3, 16, 16, false, relu, 1], [3, 64, 24, true, hardswish, 2]]}
        defaults: {conv: bn hardswish, naming: flat}
    """)
    + MOBILENET,
    "unet": "input: 3x64x64\nargs: {w: 4}\ndefaults: {conv: bn relu}\n" + UNET_WHOLE,
}

NODES = {
    "conv1": "7x7 conv 64 /2",
    "conv2": "{op: conv, out: 64, kernel: [7, 7], stride: 2}",
    "drop": "dropout 0.5",
    "padded1": "3x3 conv 4 pad=1",
    "padded2": "3x3 conv 4 pad=[1,0,1,0]",
    "padded3": "3x3 conv 4 pad=same",
    "padded4": "3x3 conv 4 valid",
    "pool1": "3x3 maxpool /2 pad=1 ceil",
    "pool2": "3x3 avgpool /2 pad=1 inside",
    "bias": "3x3 conv 4 bias bn",
    "nobias": "3x3 conv 4 nobias",
    "active": "3x3 conv 16 hardswish",
    "plain": "1x1 conv 8 plain relu",
    "norm": "bn relu",
    "named": "3x3 conv 8 act=a norm=n",
    "merged": "add <- plain, named",
    "parts": "split 2 <- named",
    "halves": "concat <- parts.0, parts.1",
    "channels": "3x3 conv in*2",
    "left_out": "relu when in == 3",
    "everywhere": "1x1 fc w",
    "layer_norm": "ln",
    "scaled": "scale 0.1",
    "sliced": "slice 1 5",
    "cropped": "pad [-1,-1,1,1]",
    "edge": "3x3 conv 1 weight=[[-1,-1,-1],[-1,8,-1],[-1,-1,-1]] bias=0",
    "tables": "3x3 conv 2 table=[[0],[0]]",
    "gated": "{branches: [identity, {pool: gap, fc: 1x1 conv in hardsigmoid}], merge: mul}",
    "copies": "3 * 3x3 conv 8 as block1-{0}",
    "dense1": "dense 2 * layer as denselayer{1}",
    "dense2": '{dense: layer, repeat: 2, as: "denselayer{1}"}',
    "shortened": "{residual: {a: 3x3 conv 32 /2}, shortcut: pad, scale: 0.5, then: relu}",
    "same": "{residual: {a: 3x3 conv 9 /2}, shortcut: if_same_shape}",
    "none": "{residual: {a: 3x3 conv 9}, shortcut: none}",
    "groups": "{branches: {a: 3x3 conv 2, b: 3x3 conv 2, c: 3x3 conv 2}, split: 3, then: shuffle 3}",
    "up": "2x2 deconv 4 /2",
    "resized": "upsample 2 linear",
    "adaptive": "7x7 avgpool adaptive",
    "pooled": "gap",
    "last": "fc 10 tanh",
}
NODES_WHOLE = "\n".join(
    [
        "input: 3x64x64",
        "args: {a: relu, n: bn, w: 6}",
        "blocks: {layer: {conv: 3x3 conv 4}}",
        "net:",
        *(f"  {key}: {node}" for key, node in NODES.items()),
        "",
    ]
)

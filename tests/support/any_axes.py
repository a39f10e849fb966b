"""Texts of specs for signals, images and volumes: `<3,2,1> conv 8` is `3 conv 8`, `3x2 conv 8` or `3x2x1 conv 8`."""

from __future__ import annotations

import re

MOST_OPS = """
name: net
input: 4x<17,14,19>
net:
  conv: <3> conv 8 bn relu
  uneven: <3> conv 8 pad=[1,0,2|0,2,1]
  oblong: <3,1,2> conv 8 valid
  dilated: <3> conv 8 dilation=2 groups=2
  depthwise: <3> dwconv
  gn: gn 2
  leaky: leaky_relu 0.1
  instancenorm: instancenorm affine=true
  silu: silu
  ln: ln
  gelu: gelu
  lrn: lrn 3
  prelu: prelu
  shuffle: shuffle 2
  pool: <3> maxpool /1 pad=1
  pool2: <3> maxpool /2 ceil
  up: upsample 2
  up2: upsample 2 linear
  mean: <2> avgpool
  mean2: <3> avgpool /1 pad=1 inside
  mean3: <3> avgpool /2 ceil pad=1
  deconv: <2> deconv 6 /2
  deconv2: <3> deconv 6 /2 groups=2
  elu: elu
  pad: pad 1
  pad2: pad [1,0,2|0,1,0] channels=[1,1]
  subsample: <2> subsample
  table: <3> conv 3 table=[[0,1],[1,2,3],[0]]
  fixed: conv 4 kernel=1 bias=[1,2,3,4]
  pointwise: fc 6 kernel=1
  scale: scale 0.5
  scale2: scale 0.7 flat
  affine: affine [1,2,3,4,5,6] add=1
  hardswish: hardswish
  slice: slice 1 5
  dropout: dropout 0.3
  res: {residual: {a: <3> conv 8 /2 bn relu6, b: <3> conv 8}, then: relu}
  gate: {branches: [identity, {p: gap, f: conv 8 kernel=1 sigmoid}], merge: mul}
  gate2: {branches: [identity, {m: mean channels, f: conv 1 kernel=1 sigmoid}], merge: mul}
  size: l2 space
  positive: affine 1 add=1
  share: div <- gate2, positive
  parts: softmax parts=2
  spatial: softmax space
  offset: offset 0.5 batched
  blur: <3> blurpool /1
  mixed: channelconv 3
  low: sub <- mixed, offset
  high: maximum <- mixed, offset
  least: minimum <- low, high
  abs: abs
  soft: {branches: [softplus, softsign, mish, selu, celu 0.5, clip -1 1, scaled_tanh, hardsigmoid]}
  finer: pixelshuffle 2
  coarser: pixelunshuffle 2
  parallel: {inception: {a: <3> conv 4, b: <3> conv 4 softmax, c: [<3> maxpool /1 pad=1, tanh]}}
  grow: dense 2 * <3> conv 4
  last: <2,1,2> avgpool adaptive
  fc: fc 10
outputs: {logits: fc, features: grow}
"""
"""A network with nearly every op."""


def for_axes(text: str, axes: int) -> str:
    """Return the text for inputs with so many axes.

    `<3>` has one number for all axes, `<3,2,1>` one for each, and `[1,0,2|0,1,1]` one for each begin and end.
    """

    def window(match: re.Match[str]) -> str:
        numbers = match[1].split(",")
        numbers = numbers[:axes] if len(numbers) > 1 else numbers * axes
        return f"[{','.join(numbers)}]" if match.string[match.start() - 1] == "=" else "x".join(numbers)

    def sides(match: re.Match[str]) -> str:
        return "[" + ",".join(",".join(part.split(",")[:axes]) for part in match[1].split("|")) + "]"

    return re.sub(r"<([\d,]+)>", window, re.sub(r"\[([-\d,]+\|[-\d,]+)\]", sides, text))

"""The small networks that `bench --calibrate` runs: together they have the classes of layers of the library, at the
sizes that occur in classifiers and in segmentation. Each kernel of each network is one sample of its class."""

from __future__ import annotations

PROBES = (
    """
    input: 3x224x224
    defaults: {conv: relu}
    blocks:
      bottleneck(w, s=1):
        residual: [1x1 conv w, 3x3 conv w /s, 1x1 conv 4*w linear]
        then: relu
    net:
      - 7x7 conv 64 /2
      - 3x3 maxpool /2 pad=1
      - 2 * bottleneck(64)
      - 2 * bottleneck(128, 2 if first else 1)
      - 2 * bottleneck(256, 2 if first else 1)
      - 2 * bottleneck(512, 2 if first else 1)
      - gap
      - fc 1000
    """,
    """
    input: 3x112x112
    defaults: {conv: relu}
    net: [3x3 conv 16, 2 * 3x3 conv 16, 3x3 conv 32, 3x3 conv 32, 3x3 conv 64 /2, 3x3 conv 64, 1x1 conv 16, 1x1 conv 64,
      2x2 maxpool, 3x3 conv 128, 3x3 conv 128, 5x5 conv 32, 1x1 conv 128, 2x2 maxpool, 3x3 conv 256, 2x2 maxpool,
      3x3 conv 512, 2 * 3x3 conv 512, "conv 128 kernel=[1, 7]", "conv 128 kernel=[7, 1]", gap, fc 10]
    """,
    """
    input: 3x224x224
    blocks:
      gate(c):
        branches: [[gap, 1x1 conv c//4 silu, 1x1 conv c sigmoid], identity]
        merge: mul
      inverted(c, k, s=1):
        residual: [1x1 conv in*6 silu, "conv in kernel=k stride=s groups=in silu", gate(in), 1x1 conv c]
        shortcut: none
    net: [3x3 conv 16 /2 silu, 3x3 conv 16 groups=16 silu, "inverted(24, 3, 2)", "inverted(24, 3)",
      "inverted(40, 5, 2)", "inverted(80, 3, 2)", "inverted(112, 5)", "inverted(192, 5, 2)", 1x1 conv 1280 silu,
      gap, fc 1000]
    """,
    """
    input: 3x112x112
    defaults: {conv: relu}
    net: [3x3 conv 32 /2, 3x3 conv 32 groups=32, 1x1 conv 128, 3x3 conv 128 groups=32, 3x3 conv 128 groups=8,
      3x3 conv 128 groups=128 /2, 3x3 conv 512 groups=32, shuffle 4, 3x3 conv 512 groups=32, 3x3 conv 512 groups=512,
      1x1 conv 1024, 3x3 conv 1024 groups=32 /2, 3x3 conv 1024 groups=1024, 1x1 conv 256 groups=8, gap, fc 10]
    """,
    """
    input: 3x128x128
    blocks:
      mixer: {residual: [conv in kernel=7 groups=in, ln, 1x1 fc 4*in gelu, 1x1 fc in, scale]}
    net: [4x4 conv 96 /4, ln, mixer, 2x2 conv 192 /2, mixer, 2x2 conv 384 /2, mixer, 2x2 conv 768 /2, mixer, gap, ln,
      fc 10]
    """,
    """
    input: 3x112x112
    blocks:
      layer: [bn relu, 1x1 conv 128 bn relu, 3x3 conv 32]
    net: [7x7 conv 64 /2 bn relu, dense 3 * layer, 1x1 conv 128, 2x2 avgpool, dense 3 * layer, 1x1 conv 256,
      2x2 avgpool, dense 3 * layer, bn relu, gap, fc 10]
    """,
    """
    input: 1x128x128
    defaults: {conv: leaky_relu}
    net:
      a: 2 * 3x3 conv 16
      b: [2x2 maxpool, 3x3 conv 32 instancenorm, 3x3 conv 32 linear, gn 8]
      c: [2x2 maxpool, 3x3 conv 64 prelu, 3x3 conv 64 hardswish]
      d: 2x2 deconv 32 /2
      e: ["concat <- b, d", 3x3 conv 32, upsample 2]
      f: ["concat <- a, e", 3x3 conv 16, upsample 2 linear, 1x1 conv 4, softmax]
    """,
    """
    input: 1x32x32x32
    defaults: {conv: relu}
    net: [conv 16 kernel=3, conv 32 kernel=3, conv 32 kernel=3 instancenorm, maxpool kernel=2, conv 64 kernel=3,
      conv 64 kernel=3 stride=2, conv 128 kernel=3, conv 32 kernel=1, deconv 32 kernel=2 stride=2, bn relu, gap, fc 10]
    """,
    """
    input: 8x64x64x64
    defaults: {conv: leaky_relu}
    net: [conv 16 kernel=3, conv 32 kernel=3 stride=2, conv 32 kernel=3]
    """,
    """
    input: 18x64x64
    defaults: {conv: relu}
    net: [3x3 conv 18, 3x3 conv 27, 3x3 conv 51 /2, 3x3 conv 51, 1x1 conv 102, 3x3 conv 102, 2x2 maxpool, 3x3 conv 102,
      1x1 conv 205, 1x1 conv 768, 9x9 conv 768 groups=768 /2, 9x9 conv 768 groups=768, gap]
    """,
    """
    input: 12x1000
    defaults: {conv: relu}
    net: [conv 64 kernel=7 stride=2, maxpool kernel=2, conv 64 kernel=3, conv 128 kernel=3 stride=2, conv 128 kernel=3,
      bn relu, conv 256 kernel=1, gap, fc 2048 relu, fc 2048, fc 256 tanh, fc 64 sigmoid, fc 64, fc 10, softmax]
    """,
    """
    input: 1x32x32x32
    net: [conv 16 kernel=3 stride=2, conv in kernel=3 groups=in, conv 96 kernel=1, conv in kernel=3 groups=in stride=2,
      conv in kernel=5 groups=in, silu, conv 128 kernel=1, conv in kernel=3 groups=16, conv 384 kernel=1,
      conv in kernel=5 groups=in stride=2, bn relu, conv 64 kernel=1, gap, fc 10]
    """,
    """
    input: 12x2000
    net: [conv 64 kernel=7 stride=2, conv in kernel=3 groups=in, conv 128 kernel=1,
      conv in kernel=15 groups=in stride=2, conv in kernel=5 groups=8, silu, conv 512 kernel=1,
      conv in kernel=3 groups=in, gap, fc 10]
    """,
)
"""Specs of the language."""
OVERHEAD = "input: 16\nnet: [{} * tanh]"
"""Ops that take no time of their own."""

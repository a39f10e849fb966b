"""A network whose random weights overflow float32."""

DEEP = """
name: deep
input: 3x8x8
defaults: {conv: nobias}
blocks:
  block: {residual: {bn: bn relu, conv: 3x3 conv 8}, scale: 8}
net:
  stem: 3x3 conv 8
  body: 50 * block
  pool: gap
  fc: fc 10
"""
"""Each of 50 blocks adds eight times the output of its body: the values grow beyond the largest number."""

"""Targets: how each op and a whole network are written in PyTorch, in ONNX, and as a spec."""

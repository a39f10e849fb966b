"""Graph to ONNX: `lower` translates each op, `plan` the whole graph, `encode` encodes it, `write` writes the file.

Nothing is imported here. No module needs torch; only `write.build` needs onnx, whose message it returns.
"""

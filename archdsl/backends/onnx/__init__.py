"""Graph to ONNX: `lower` says each op as data, `plan` the whole graph, `write` makes the file.

Nothing is imported here: `plan` needs neither onnx nor torch, `write` needs onnx.
"""

"""Graph to ONNX: `lower` says each op as data, `plan` the whole graph, `encode` its bytes, `write` makes the file.

Nothing is imported here. None of them needs torch; onnx only `write.build`, which gives its message.
"""

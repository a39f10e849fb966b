"""One file per family of ops: the ONNX nodes of each op."""

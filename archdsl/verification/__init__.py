"""Whether the module, the printed source and the ONNX file compute what the spec says."""

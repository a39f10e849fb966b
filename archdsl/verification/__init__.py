"""Whether the module, the generated source and the ONNX file compute what the spec says."""

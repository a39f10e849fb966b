"""Check that the PyTorch module, the generated source and the ONNX file compute the network of the spec."""

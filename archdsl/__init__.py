"""archdsl: convolutional networks as YAML specs: checked, counted, drawn, compiled to PyTorch and ONNX."""

__version__ = "0.1.0"

"""PyTorch: a graph as a live module (`to_torch`, `build`) and as a Python file (`to_source`)."""

"""The way back: from a model of another tool to a spec.

`importing` is the verb, `onnx_model` reads a file, `steps` say what its nodes are in our ops, `arrange` gives them names and order,
`to_spec` builds the graph and writes it down.
"""

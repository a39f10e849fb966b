"""Import: convert a model of another tool to a spec.

`importing` has the verb, `onnx_model` reads a file, the rules in `steps` convert its nodes to ops, `arrange` gives the
ops paths and an order, `to_spec` builds the graph and writes the spec.
"""

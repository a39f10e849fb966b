"""One file per family of ops: how each op is written in PyTorch, as data."""

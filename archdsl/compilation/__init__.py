"""Compilation: a network as files, one for each target, all of them or none."""

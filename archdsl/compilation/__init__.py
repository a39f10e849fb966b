"""Compile a network to the files of its targets: all of them or none."""

"""Measure the speed of networks: run each contestant in its own process, in turns, and profile the nodes."""

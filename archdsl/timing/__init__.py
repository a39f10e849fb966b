"""Measures the speed of networks: runs each contestant in its own process, in turns, and profiles nodes."""

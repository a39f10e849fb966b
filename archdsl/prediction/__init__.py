"""Run a network on images."""

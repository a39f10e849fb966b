"""Runs a network on images."""

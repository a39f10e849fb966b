"""Folders that servers and browsers read: a model, its configuration, and what a caller needs."""

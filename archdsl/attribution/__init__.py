"""Explain a class score by a map of the input: class activation maps, Grad-CAM and occlusion."""

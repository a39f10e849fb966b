"""A drawing as data: boxes, frames and arrows, before anything is laid out."""

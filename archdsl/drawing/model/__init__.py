"""A drawing as data before its layout: boxes, frames and arrows."""

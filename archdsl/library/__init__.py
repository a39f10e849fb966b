"""The library of networks: its catalogue, and the published numbers that its specs claim."""

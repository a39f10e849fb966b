"""The library of networks: its catalogue, comparisons, and checks of the figures that its specs claim."""

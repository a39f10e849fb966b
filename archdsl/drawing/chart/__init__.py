"""The chart of `compare`: networks by cost and accuracy."""

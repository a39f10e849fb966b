"""Passes over a graph: plain functions, each linear in the number of nodes, none recursive over the graph."""

"""Passes: functions from graph to graph, linear in the number of nodes and without recursion."""

"""The style `graph`: boxes and arrows, with Graphviz's layout and archdsl's own painter."""

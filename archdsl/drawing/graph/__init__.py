"""The style `graph`: laid out by Graphviz, painted here."""

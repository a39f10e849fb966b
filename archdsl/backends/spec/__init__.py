"""Write a network as the text of a spec: short, long or flat."""

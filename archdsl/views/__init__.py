"""What a person or a program reads of a graph: tables, JSON, drawings."""

"""A spec as text, long, flat or short: a target like the others."""

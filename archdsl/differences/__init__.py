"""Compare two networks: the result as data, as text and as a picture."""

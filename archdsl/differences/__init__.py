"""What changed between two networks, as data, as text and as a picture."""

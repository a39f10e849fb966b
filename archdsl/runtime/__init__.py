"""Running a compiled network: sessions, preprocessing, predictions, and what the machine can do."""

"""Tables, JSON, and the texts of ops and blocks in reports."""

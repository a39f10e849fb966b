"""Tables, JSON and the wording of reports."""

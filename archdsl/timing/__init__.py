"""How fast a network runs: contestants in processes of their own, timed in turns, and what each node takes."""

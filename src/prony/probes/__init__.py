"""Watches each tier while a trial runs: what the machine, the servers and the app show, as readings."""

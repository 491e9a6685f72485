"""Traffic into samples: one process that sends requests when they are due and writes down how each one ended."""

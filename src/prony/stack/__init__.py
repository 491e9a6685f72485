"""A plan in, running processes out: services brought up in order, down in reverse, never orphaned."""

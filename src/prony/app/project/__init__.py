"""A stranger's project in, what a bench must know of it out: read from its files, and tried in its own interpreter."""

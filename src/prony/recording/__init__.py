"""Samples, readings and events: what a trial writes as it happens, and what every later thought reads."""

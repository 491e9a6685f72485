"""A test bench for Python web apps: an app and its stack in, a believable number and its cause out."""

__version__ = "0.1.0"

"""Turns a Python web app, unchanged and in its own interpreter, into one whose requests another process can count."""

"""The app under test: its interpreter, what is installed there, and whether its entry imports."""

"""One adapter a file: how a real program is started, known to be ready, watched and stopped."""

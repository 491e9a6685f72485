"""A campaign's document and recordings in; terminal text, JSON or one HTML file out, one format a file."""

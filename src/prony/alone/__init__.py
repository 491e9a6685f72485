"""Something that runs already in, load on it and a recording out: without a stack; off loopback by consent alone."""

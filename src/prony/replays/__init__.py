"""The accounts' experiments, as data: which tests were run, under which loads, and what their authors saw."""

"""The folders in here are other people's projects: what tests they bring are not ours to run."""

collect_ignore_glob = ["*/*"]

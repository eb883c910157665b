"""One server for each peer, set up as its own documentation says; run in a venv of its own."""

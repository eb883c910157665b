"""The benchmark behind scripts/bench: edged beside the loop people write, and beside peers."""

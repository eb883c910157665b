FOLDER = "datasets"
"""Where the store is in the state directory."""

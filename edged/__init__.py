"""An inference daemon for ARM boards: Paddle models behind the EdgeBoard HTTP service."""

__version__ = "0.1.0"

"""The demo models: their pictures, networks, training and export."""

# Before paddle, whose library brings a zlib of its own: read after it, a PNG ends the process.
import cv2  # noqa: F401

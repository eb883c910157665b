"""Who takes part, by name."""

from __future__ import annotations

MOBILENET, PICODET = "mobilenet", "picodet"

EDGED = ("edged binary", "edged base64", "edged multipart", "edged msgpack")
LIMITS = ("limit serial", "limit overlapped")
LOOPS = ("naive", *LIMITS)
THIN, APART = "thin limit", "apart limit"
BARE = (THIN, APART)

PEERS = ("fastapi", "litserve", "mlserver", "bentoml")
NAIVE_PEERS = tuple(f"{peer} naive" for peer in PEERS)
OWN_PEERS = tuple(f"{peer} edged" for peer in PEERS)

EVERYONE = (*EDGED, *LOOPS, *BARE, *NAIVE_PEERS, *OWN_PEERS)

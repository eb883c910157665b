"""The plot for the README: pictures a second of MobileNetV3-S at concurrency 4, as SVG.

python -m scripts.bench_parts.plot RESULTS.json OUT.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict, List

import matplotlib as mpl
from matplotlib import pyplot as plt

from scripts.bench_parts.capacity import CONNECTIONS
from scripts.bench_parts.names import EDGED, MOBILENET

_PICTURES = ("720p", "1080p")
_EDGED, _OTHERS = "#1a7f5a", "#9aa5b1"


def draw(told: Dict[str, Any], path: Path) -> None:
    """Raises ValueError where the capacities of both pictures are not in `told`."""
    mpl.use("svg")
    # Text stays text, and the same figures give the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "edged", "font.size": 9})
    figure, axes = plt.subplots(
        1, len(_PICTURES), figsize=(9, 3.6), layout="constrained", squeeze=False
    )
    for axis, shown in zip(axes[0], _PICTURES):
        cells = _cells(told, shown)
        names = [cell["contender"] for cell in cells]
        medians = [cell["median"] for cell in cells]
        spans = [
            [cell["median"] - cell["lowest"] for cell in cells],
            [cell["highest"] - cell["median"] for cell in cells],
        ]
        colors = [_EDGED if name in EDGED else _OTHERS for name in names]
        axis.barh(names, medians, xerr=spans, color=colors, error_kw={"linewidth": 0.8})
        axis.set_title(f"{shown} JPEG")
        axis.set_xlabel(f"pictures a second, {told['machine']['cores']} cores")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def _cells(told: Dict[str, Any], shown: str) -> List[Dict[str, Any]]:
    """From the slowest to the fastest."""
    wanted = (MOBILENET, shown, CONNECTIONS)
    cells: List[Dict[str, Any]] = [
        cell
        for cell in told["capacities"]
        if (cell["model"], cell["picture"], cell["connections"]) == wanted
    ]
    if not cells:
        raise ValueError(f"no capacities of {MOBILENET} at {shown} were measured")
    return sorted(cells, key=lambda cell: float(cell["median"]))


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))

"""Which engines a model may be run by, of those that are installed. None is imported here."""

from __future__ import annotations

import importlib.util
from typing import Tuple

from edged.registry.spec import EngineChoice

# The name of an engine is also that of its library; the first that is there is preferred.
_ENGINES = ("paddlelite", "paddle")


def candidates(choice: EngineChoice) -> Tuple[str, ...]:
    """The engines to try, in order; never none, so that a model's failure names what it lacks.

    Blocks on the disk.
    """
    if choice != "auto":
        return (choice,)
    installed = tuple(name for name in _ENGINES if importlib.util.find_spec(name) is not None)
    return installed or _ENGINES

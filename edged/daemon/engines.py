"""What the daemon knows of each engine. None is imported here.

A new one is a module in `edged/worker/engines`, a row here, and its name in `EngineChoice`.
"""

from __future__ import annotations

import importlib.util
from typing import Dict, FrozenSet, NamedTuple, Tuple

from edged.registry.spec import EngineChoice, ModelFiles, ModelSpec


class Traits(NamedTuple):
    """`kinds` are those of `ModelFiles` that it reads, and "pir" if it reads such programs.

    `fork_server` is what its library takes once, `worker` what each process has before its
    model, in bytes; measured on x86-64 by scripts/measure_engines.py.
    """

    kinds: FrozenSet[str]
    fork_server: int
    worker: int
    threads_on_x86: bool


ENGINES: Dict[str, Traits] = {
    "paddlelite": Traits(
        frozenset({"nb", "combined", "separate"}), 50 << 20, 24 << 20, threads_on_x86=False
    ),
    "paddle": Traits(
        frozenset({"combined", "separate", "pir"}), 210 << 20, 50 << 20, threads_on_x86=True
    ),
}
"""By their name, which is also that of the library; the first is preferred."""


def candidates(choice: EngineChoice, spec: ModelSpec) -> Tuple[str, ...]:
    """The engines to try, in order: those that are installed and read the model's files.

    Never none, so that a model's failure names what it lacks. Blocks on the disk.
    """
    if choice != "auto":
        return (choice,)
    able = [set(readers(files)) for files in spec.networks]
    fit = tuple(name for name in ENGINES if all(name in names for names in able))
    there = tuple(name for name in fit or ENGINES if importlib.util.find_spec(name) is not None)
    return there or fit or tuple(ENGINES)


def readers(files: ModelFiles) -> Tuple[str, ...]:
    """The engines that read such files, whether they are installed or not."""
    kind = "pir" if files.is_pir else files.kind
    return tuple(name for name, traits in ENGINES.items() if kind in traits.kinds)

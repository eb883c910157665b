"""What the commands ask of a network's files: from a process of its own, which may die.

The command's process has neither numpy nor an engine in it, and Paddle Lite's converter
aborts on what it does not like. One request, one answer, as JSON on a pipe each
(`edged.worker.tool` is the other end).
"""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Dict, Tuple, Union

import msgspec

from edged.errors import EngineError
from edged.registry.spec import ModelFiles

_SECONDS = 150.0  # a conversion has its own limit, which is less

Shapes = Dict[str, Tuple[int, ...]]


class Describe(msgspec.Struct, tag=True, frozen=True):
    """What do the files say of themselves?"""

    files: ModelFiles


class Convert(msgspec.Struct, tag=True, frozen=True):
    """Make an `.nb` for `target` (x86 or arm), in the folder `cache`."""

    files: ModelFiles
    target: str
    cache: str


class Described(msgspec.Struct, tag=True, frozen=True):
    """`inputs` and `outputs` are name -> shape, -1 for what is free; an `.nb` hides them.

    `targets` and `precisions` are of an `.nb`, as is `version`, that of its maker.
    """

    inputs: Shapes = {}
    outputs: Shapes = {}
    targets: Tuple[str, ...] = ()
    precisions: Tuple[str, ...] = ()
    version: str = ""


class Converted(msgspec.Struct, tag=True, frozen=True):
    path: str


class Refused(msgspec.Struct, tag=True, frozen=True):
    reason: str


Request = Union[Describe, Convert]
Answer = Union[Described, Converted, Refused]


def describe(files: ModelFiles) -> Described:
    """Raises EngineError with the reason when they are not a network that can be served."""
    answer = _ask(Describe(files))
    assert isinstance(answer, Described)
    return answer


def convert(files: ModelFiles, target: str, cache: str) -> str:
    """The path of the `.nb`. Raises EngineError with the converter's reason."""
    answer = _ask(Convert(files, target, cache))
    assert isinstance(answer, Converted)
    return answer.path


def _ask(request: Request) -> Answer:
    command = [sys.executable, "-m", "edged.worker.tool"]
    try:
        done = subprocess.run(
            command, input=msgspec.json.encode(request), capture_output=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"no answer within {_SECONDS:.0f} s") from None
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise EngineError(f"the process that looked at the network died of {name}")
    if done.returncode > 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise EngineError(f"the process that looked at the network failed: {''.join(last)}")
    answer: Answer = msgspec.json.decode(done.stdout, type=Answer)
    if isinstance(answer, Refused):
        raise EngineError(answer.reason)
    return answer

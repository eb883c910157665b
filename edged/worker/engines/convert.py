"""A full Paddle model to an `.nb` for this machine: once, then from the cache.

The converter aborts the process on whatever it does not like, so it runs in a forked
child whose last words become the error. The name of a converted file holds the digest
of what it was made from and of what it is itself: a file damaged since is not found.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import resource
import select
import shutil
import signal
import time
from pathlib import Path
from types import ModuleType
from typing import Callable, List, NoReturn, Optional, Sequence, Tuple

from edged.errors import EngineError
from edged.registry.converted import source_digest, touch
from edged.registry.disk import digest, locked, sync
from edged.registry.spec import ModelFiles
from edged.worker.engines import nb
from edged.worker.process import die_with_parent

TIME_LIMIT = 120.0
"""Seconds for one conversion; it takes 0.5 at most on a PC."""

_CHUNK = 1 << 20
_MACHINES = {"x86": "x86_64", "arm": "aarch64"}  # one of each target, as `platform` has it
# glog: [F date time file:line function] message, which may begin on the next line.
# What Paddle Lite says of parameters that end too soon.
_NOT_ENOUGH = re.compile(r"fread\(|weight file is not existed")
_FATAL = re.compile(r"^\[F [^\n]*?\]\s+(?:Check failed: )?(.+)$", re.MULTILINE)


def to_nb(
    lite: ModuleType, files: ModelFiles, params: Sequence[str], cache: str, target: str = ""
) -> str:
    """The path of the converted file, in the folder `cache`, made if need be.

    `target` is `x86` or `arm`, by default what this machine is.

    `lite` is Paddle Lite. `params` are the names of the parameters, used for a folder
    with a file for each. Raises EngineError with Paddle Lite's reason, or the system's.
    """
    target = target or nb.host_target()
    if not hasattr(lite, "Opt"):
        raise EngineError(
            "this build of Paddle Lite has no converter: make an .nb with"
            f" paddle_lite_opt --valid_targets={target}"
        )
    folder = Path(cache)
    key = _key(lite, files, params, target)
    try:
        return str(_find(folder, key) or _convert_locked(lite, files, target, folder, key))
    except OSError as error:
        raise EngineError(f"cannot keep a converted model in {cache}: {error.strerror}") from error


def run_apart(work: Callable[[], None], time_limit: float) -> Tuple[Optional[int], str]:
    """Runs `work` in a forked child, for at most `time_limit` seconds, then SIGKILL.

    Returns (wait status, or None if it was out of time; what it printed). To be called
    while the process has one thread. The child dies with the thread that called.
    """
    parent = os.getpid()
    words, child_words = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_child(parent, child_words, work)
    os.close(child_words)
    ended = False
    try:
        log, ended = _read_until_closed(words, time.monotonic() + time_limit)
    finally:
        os.close(words)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return (status if ended else None), log.decode("utf-8", "replace")


def _be_child(parent: int, words: int, work: Callable[[], None]) -> NoReturn:
    status = 1
    try:
        die_with_parent(parent)
        faulthandler.disable()  # its traceback would follow the converter's words
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(words, 1)
        os.dup2(words, 2)
        work()
        status = 0
    except Exception as error:  # nothing may return from here into the parent's code
        os.write(words, repr(error).encode())
    finally:
        os._exit(status)


def _read_until_closed(words: int, deadline: float) -> Tuple[bytes, bool]:
    """What came, and whether the other end was closed before the deadline."""
    log = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([words], [], [], left)[0]:
            return log, False
        chunk = os.read(words, _CHUNK)
        if not chunk:
            return log, True
        log = (log + chunk)[-_CHUNK:]


def _convert_locked(
    lite: ModuleType, files: ModelFiles, target: str, folder: Path, key: str
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / f"{key}.lock"):
        ready = _find(folder, key)  # another worker may have made it meanwhile
        if ready is not None:
            return ready
        for damaged in folder.glob(f"{key}.*.nb"):
            damaged.unlink()
        # A conversion that was killed leaves this behind; the next one writes over it.
        temporary = folder / f"unfinished-{key}.nb"
        try:
            _convert(lite, files, target, temporary)
            sync(temporary)
            ready = folder / f"{key}.{digest([temporary])}.nb"
            os.replace(temporary, ready)
            return ready
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


def _convert(lite: ModuleType, files: ModelFiles, target: str, to: Path) -> None:
    def convert() -> None:
        opt = lite.Opt()
        if files.params is None:
            opt.set_model_dir(files.model)
        else:
            opt.set_model_file(files.model)
            opt.set_param_file(files.params)
        opt.set_valid_places(target)
        opt.set_optimize_out(str(to.with_suffix("")))  # it adds the suffix
        opt.run()

    name = Path(files.model).name
    status, log = run_apart(convert, TIME_LIMIT)
    if status is None:
        raise EngineError(f"converting {name} took longer than {TIME_LIMIT:.0f} s")
    if status != 0 and files.params is not None and _NOT_ENOUGH.search(log):
        raise EngineError(f"{Path(files.params).name} is cut short, or of another network")
    if status != 0:
        reason = _unwritten(to.parent) if "fwrite(" in log else _reason(log, status)
        raise EngineError(f"{name} cannot be converted: {reason}")
    try:
        nb.check(str(to), _MACHINES[target])
    except EngineError as error:  # the last write, at closing, is not checked by Paddle Lite
        reason = _unwritten(to.parent)
        raise EngineError(f"{name} cannot be converted: {reason}: {error}") from error


def _unwritten(folder: Path) -> str:
    free = shutil.disk_usage(folder).free >> 20
    return f"it could not be written to {folder} ({free} MB free)"


def _reason(log: str, status: int) -> str:
    """Paddle Lite's last words of weight, on one line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    words: List[str] = _FATAL.findall(log) or [line for line in lines if line.startswith("Error")]
    if words:
        return words[-1].strip()[:300].rstrip(".")
    if os.WIFSIGNALED(status):
        end = f"the converter died of {signal.Signals(os.WTERMSIG(status)).name}"
    else:
        end = f"the converter ended with status {os.WEXITSTATUS(status)}"
    return f"{end}, its last words: {lines[-1][:300]}" if lines else end


def _key(lite: ModuleType, files: ModelFiles, params: Sequence[str], target: str) -> str:
    try:
        contents = source_digest(files, params)
    except OSError as error:
        raise EngineError(f"cannot read {error.filename}: {error.strerror}") from error
    version = re.sub("[^0-9A-Za-z.]", "_", lite.Opt().version())
    return f"{contents}-{target}-{version}"


def _find(folder: Path, key: str) -> Optional[Path]:
    """The converted file, if it is whole."""
    for path in folder.glob(f"{key}.*.nb"):
        # Whoever holds the lock may be removing a damaged one.
        with contextlib.suppress(FileNotFoundError):
            if path.name == f"{key}.{digest([path])}.nb":
                touch(path)
                return path
    return None

"""The model process: read a frame, answer a frame."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
import traceback
from contextlib import suppress
from typing import Iterator, Optional, Tuple, Union

from edged import wire
from edged.errors import DeadlinePassed, EdgedError
from edged.worker.ahead import ahead
from edged.worker.clock import Clock
from edged.worker.model import Model, NoModel, Prepared
from edged.worker.process import ResidentSize, limit_memory

_Work = Tuple[wire.Infer, Union[Prepared, EdgedError]]


def serve(channel: socket.socket) -> int:
    """Serves one model until the daemon closes the channel; the exit status of the process."""
    try:
        load, _ = wire.receive(channel)
        if isinstance(load, wire.Infer):
            raise TypeError(load)
        limit_memory(load.memory_limit)
        model = Model(load) if isinstance(load, wire.Load) else NoModel()
        wire.send(channel, wire.Loaded())
    except (EOFError, ConnectionError):
        return 0
    except MemoryError:
        return _out_of_memory()
    except EdgedError as error:
        with suppress(ConnectionError):
            wire.send(channel, _failure(None, error))
        return 0
    return _Server(channel, model).run(isinstance(load, wire.Load) and load.decode_ahead)


class _Server:
    def __init__(self, channel: socket.socket, model: Union[Model, NoModel]) -> None:
        self._channel = channel
        self._model = model
        self._resident_size = ResidentSize()

    def run(self, decode_ahead: bool) -> int:
        requests = self._requests()
        try:
            for request, prepared in ahead(requests) if decode_ahead else requests:
                self._answer(request, prepared)
                del prepared  # before the next one's pixels come beside it
        except (EOFError, ConnectionError):
            pass
        except MemoryError:
            return _out_of_memory()
        return 0

    def _requests(self) -> Iterator[_Work]:
        """Received and decoded, without end. Raises EOFError, ConnectionError or MemoryError."""
        while True:
            request, payload = wire.receive(self._channel)
            if not isinstance(request, wire.Infer):
                raise TypeError(request)
            yield request, self._prepare(request, payload)

    def _prepare(self, request: wire.Infer, payload: bytes) -> Union[Prepared, EdgedError]:
        try:
            _check(request)
            return self._model.prepare(payload, request.options)
        except EdgedError as error:
            _exit_if_out_of_memory(error.__context__)
            return error
        except Exception as error:  # as in _answer
            _exit_if_out_of_memory(error)
            traceback.print_exc()
            return _internal(error)

    def _answer(self, request: wire.Infer, prepared: Union[Prepared, EdgedError]) -> None:
        if isinstance(prepared, EdgedError):
            wire.send(self._channel, _failure(request.id, prepared))
            return

        def begin_part() -> None:
            _check(request)
            wire.send(self._channel, wire.Running(request.id))

        try:
            _check(request)
            outcome = self._model.predict(prepared, request.options, Clock(begin_part))
        except EdgedError as error:
            wire.send(self._channel, _failure(request.id, error))
            return
        except Exception as error:  # one request's bug must not end the others
            _exit_if_out_of_memory(error)
            traceback.print_exc()
            wire.send(self._channel, _failure(request.id, _internal(error)))
            return
        width, height = prepared.picture.size
        answer = wire.Answer(
            request.id, outcome.results, width, height, outcome.stages, self._resident_size()
        )
        wire.send(self._channel, answer, outcome.drawn)


def _check(request: wire.Infer) -> None:
    """Raises DeadlinePassed when nobody waits for it any more."""
    if time.monotonic() > request.deadline:
        raise DeadlinePassed()


def _failure(request: Optional[int], error: EdgedError) -> wire.Failure:
    return wire.Failure(request, type(error).__name__, str(error))


def _internal(error: Exception) -> EdgedError:
    return EdgedError(f"internal error: {type(error).__name__}: {error}")


def _exit_if_out_of_memory(error: Optional[BaseException]) -> None:
    """The daemon tries once more in a fresh process: it may have been two pictures at once.

    cv2 has an error of its own for it, and hands on C++'s.
    """
    if isinstance(error, MemoryError) or re.search("bad_alloc|Insufficient memory", str(error)):
        os._exit(_out_of_memory())


def _out_of_memory() -> int:
    sys.stderr.write("the request needs more memory than twice the setting memory_mib\n")
    sys.stderr.flush()
    return wire.EXIT_MEMORY

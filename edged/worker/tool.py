"""The other end of `edged.network_tool`: one request on stdin, one answer on stdout."""

from __future__ import annotations

import os
import sys

import msgspec

from edged.errors import EngineError
from edged.network_tool import Answer, Convert, Converted, Described, Refused, Request
from edged.registry import program
from edged.registry.spec import ModelFiles
from edged.worker.engines import convert, nb, paddlelite


def main() -> None:
    # Libraries print: what they say must not get into the answer.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        request: Request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
        try:
            answer = _answer(request)
        except EngineError as error:
            answer = Refused(str(error))
        answers.write(msgspec.json.encode(answer))


def _answer(request: Request) -> Answer:
    if not isinstance(request, Convert):
        return _described(request.files)
    lite = paddlelite.library()
    params = program.of(request.files).params
    return Converted(convert.to_nb(lite, request.files, params, request.cache, request.target))


def _described(files: ModelFiles) -> Described:
    if files.kind == "nb":
        header = nb.read(files.model)
        return Described({}, {}, header.targets, header.precisions, header.opt_version)
    network = program.of(files)
    return Described(network.inputs, network.outputs)


if __name__ == "__main__":
    main()

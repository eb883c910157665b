"""Makes edged's workers decode a picture only when its turn has come.

Python imports a module of this name at its start when the folder is on PYTHONPATH. Only
the fork server is changed, and only for the measurement that wants edged without what
decoding ahead gives it; edged itself has no such setting.
"""

from __future__ import annotations

import sys
from typing import Any

if "edged.worker.zygote" in sys.orig_argv:
    from edged.worker.model import Model

    _prepare, _predict = Model.prepare, Model.predict

    class _Unprepared:
        """A request whose picture is still in bytes."""

        def __init__(self, *asked: Any) -> None:
            self.asked = asked

    def _predict_from_bytes(self: Model, unprepared: Any, *asked: Any) -> Any:
        prepared = _prepare(self, *unprepared.asked)
        unprepared.picture = prepared.picture
        return _predict(self, prepared, *asked)

    Model.prepare = lambda self, *asked: _Unprepared(*asked)  # type: ignore[assignment, method-assign]
    Model.predict = _predict_from_bytes  # type: ignore[assignment, method-assign]

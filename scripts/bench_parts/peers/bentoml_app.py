"""BentoML: `bentoml serve scripts.bench_parts.peers.bentoml_app:Bench`.

A service with a worker for each core (docs.bentoml.com, build-with-bentoml/parallelize-requests),
the model loaded when it is made (build-with-bentoml/services), the picture as a file that is the
whole body (build-with-bentoml/iotypes, root input).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, List

import bentoml
from bentoml.validators import ContentType
from typing_extensions import Annotated

from scripts.bench_parts.functions import of_environment


@bentoml.service(workers=len(os.sched_getaffinity(0)))
class Bench:
    def __init__(self) -> None:
        self._function = of_environment()

    @bentoml.api
    def predict(
        self, picture: Annotated[Path, ContentType("image/jpeg")], /
    ) -> Dict[str, List[List[float]]]:
        return {"answer": self._function(picture.read_bytes())}

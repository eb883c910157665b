"""MLServer: `mlserver start FOLDER`, whose settings name this runtime.

A custom runtime (docs.seldon.ai/mlserver/user-guide/custom), the picture as BYTES of the
content type base64 (user-guide/content-type), a process for each core by `parallel_workers`
(user-guide/parallel-inference).
"""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import Base64Codec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from scripts.bench_parts.functions import of_environment


class Runtime(MLModel):
    async def load(self) -> bool:
        self._function = of_environment()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        (jpeg,) = Base64Codec.decode_input(payload.inputs[0])
        answer = self._function(jpeg)
        shape = [len(answer), len(answer[0]) if answer else 0]
        flat = [number for row in answer for number in row]
        output = ResponseOutput(name="answer", shape=shape, datatype="FP64", data=flat)
        return InferenceResponse(model_name=self.name, outputs=[output])

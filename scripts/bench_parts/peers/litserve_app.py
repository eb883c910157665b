"""LitServe: `python -m scripts.bench_parts.peers.litserve_app PORT WORKERS`.

decode_request, predict and encode_response (lightning.ai/docs/litserve/api-reference/litapi);
the picture is an uploaded file (features/request-response-format); a worker for each core and
the queue that is advised for more than 100 requests a second (api-reference/litserver).
It reads annotations as they stand, so they are not put off to strings here.
"""

import sys

import litserve
from fastapi import Request

from scripts.bench_parts.answers import Answer
from scripts.bench_parts.functions import Whole, of_environment


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self._function: Whole = of_environment()

    def decode_request(self, request: Request) -> bytes:
        jpeg: bytes = request["picture"].file.read()
        return jpeg

    def predict(self, x: bytes) -> Answer:
        return self._function(x)

    def encode_response(self, output: Answer):  # type: ignore[no-untyped-def] # it would check it
        return {"answer": output}


if __name__ == "__main__":
    port, workers = map(int, sys.argv[1:])
    server = litserve.LitServer(
        Api(), accelerator="cpu", devices=1, workers_per_device=workers, fast_queue=True
    )
    server.run(host="127.0.0.1", port=port, log_level="warning", generate_client_file=False)

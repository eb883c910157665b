"""FastAPI: `uvicorn scripts.bench_parts.peers.fastapi_app:app --workers CORES`.

The model is loaded in the lifespan (fastapi.tiangolo.com/advanced/events), the picture is
the request's raw body (advanced/using-request-directly), what blocks runs in a thread
beside the event loop (async), a process for each core answers (deployment/server-workers).
The thread is always the same one: that is what Paddle Lite wants of its callers.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import AsyncIterator, Dict

from fastapi import FastAPI, Request

from scripts.bench_parts.answers import Answer
from scripts.bench_parts.functions import Whole, of_environment


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.thread = ThreadPoolExecutor(1)
    app.state.function = app.state.thread.submit(of_environment).result()
    yield
    app.state.thread.shutdown()


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
async def predict(request: Request) -> Dict[str, Answer]:
    function: Whole = request.app.state.function
    loop = asyncio.get_running_loop()
    jpeg = await request.body()
    return {"answer": await loop.run_in_executor(request.app.state.thread, function, jpeg)}

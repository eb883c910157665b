"""Runs an exported folder in Paddle Lite: `python -m demo_models.lite FOLDER IN.npz OUT.npz`.

In a process of its own, because Paddle and Paddle Lite do not share one, and because Lite ends
the process on any failed check.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


def run(
    folder: Path, pictures: NDArray[np.uint8], factors: Optional[Rows] = None
) -> Tuple[List[Rows], float]:
    """The first output for each BGR picture [n,side,side,3], and the median time of a run in ms.

    `factors` [n,2] is a detector's scale_factor: input size over original size, (y, x).
    """
    with tempfile.TemporaryDirectory() as scratch:
        given, answer = Path(scratch, "in.npz"), Path(scratch, "out.npz")
        np.savez(
            given,
            pictures=pictures,
            factors=np.zeros((0, 2), np.float32) if factors is None else factors,
        )
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-m", "demo_models.lite", str(folder), str(given), str(answer)]
        subprocess.run(
            command, check=True, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with np.load(answer) as stored:
            return [stored[f"arr_{i}"] for i in range(len(pictures))], float(stored["ms"])


def _main(folder: str, given: str, answer: str) -> None:
    from paddlelite.lite import MobileConfig, Opt, create_paddle_predictor

    from .pixels import normalised

    with tempfile.TemporaryDirectory() as scratch:
        opt = Opt()
        opt.set_model_file(f"{folder}/model.pdmodel")
        opt.set_param_file(f"{folder}/model.pdiparams")
        opt.set_valid_places("x86")
        opt.set_optimize_out(f"{scratch}/model")
        opt.run()
        config = MobileConfig()
        config.set_model_from_file(f"{scratch}/model.nb")
        predictor = create_paddle_predictor(config)
    rows, times = [], []
    with np.load(given) as stored:
        pictures, factors = stored["pictures"], stored["factors"]
    for i, picture in enumerate(pictures):
        # Named, not inlined: the tensor may read the array's memory until the run ends.
        image = normalised([picture])
        predictor.get_input_by_name("image").from_numpy(image)
        if len(factors):
            factor = np.ascontiguousarray(factors[i : i + 1], np.float32)
            predictor.get_input_by_name("scale_factor").from_numpy(factor)
        started = time.perf_counter()
        predictor.run()
        times.append((time.perf_counter() - started) * 1e3)
        rows.append(predictor.get_output(0).numpy().copy())
    np.savez(answer, *rows, ms=np.median(times))


if __name__ == "__main__":
    _main(*sys.argv[1:])

#!/usr/bin/env python3
"""Makes the demo models from nothing: draws the data, trains, exports, measures.

Needs CPython 3.10 and, in an environment of its own:

    pip install "paddlepaddle==2.6.2" "paddlelite==2.13rc0" "numpy<2" setuptools \\
        "opencv-python-headless<4.12" scikit-learn scikit-image "scipy==1.11.4" matplotlib .

SciPy and Matplotlib are here for one photograph each, edged itself to measure what it reads. Of
Debian's fonts, `print` is drawn with fonts-{anonymous-pro,cabin,cantarell,comfortaa,courier-prime,
crosextra-caladea,dejavu-core,dejavu-extra,dosis,ebgaramond,firacode,freefont-ttf,go,inconsolata,inter,
jetbrains-mono,jura,karla,lato,liberation,linuxlibertine,mononoki,noto-core,noto-mono,open-sans,oxygen,
paratype,play,quicksand,roboto-slab,roboto-unhinted,sil-charis,texgyre,vollkorn,yanone-kaffeesatz}.
One thread does (OMP_NUM_THREADS=1).
"""

import argparse
import tempfile
from pathlib import Path
from typing import Optional, Sequence

import numpy as np
from demo_models import (
    classifier,
    conditions,
    detector,
    export,
    glyphs,
    lite,
    measure,
    photos,
    samples,
    scenes,
    text_detector,
    text_measure,
    text_reader,
    writing,
)

MODELS = ("digits", "camera-check", "print")
DIGITS = [str(i) for i in range(10)]
THRESHOLD = 0.5
LANGUAGES = ("ENG", "auto_detect")


def _measured_detector(folder: Path, draw: writing.Draw, count: int) -> None:
    """Prints what Paddle Lite finds in scenes of held-out photographs."""
    rng = np.random.default_rng(77)
    pictures = photos.load_all(photos.HELD_OUT)
    drawn = [scenes.compose(rng, pictures, draw) for _ in range(count)]
    rows, ms = lite.run(folder, np.stack([s.image for s in drawn]), np.ones((count, 2), np.float32))
    result = measure.quality(drawn, rows, THRESHOLD)
    print(
        f"  mAP50 {result.map50:.3f}; at {THRESHOLD}: precision {result.precision:.3f}, "
        f"recall {result.recall:.3f}, {result.mistaken} of {result.digits} digits taken for another"
    )
    print(f"  {ms:.1f} ms a picture", flush=True)


def _say(line: str) -> None:
    print(" ", line, flush=True)


def make_digits(folder: Path, share: float) -> None:
    net = detector.train(detector.Plan().part(share), _say)
    export.save_detector(net, detector.SIDE, folder)
    finish_digits(folder)


def finish_digits(folder: Path, count: int = 400) -> None:
    """All but the training: description, sample, measures."""
    export.describe(folder, 1, "detection", DIGITS, detector.SIDE, str(THRESHOLD))
    scanned = glyphs.scanned()[1]
    samples.detector_sample(folder, samples.digits_scene(scanned), DIGITS, detector.SIDE, THRESHOLD)
    print("held-out writers, held-out photographs:")
    _measured_detector(folder, detector.held_out_draw(scanned), count)
    print("a hand that training never saw, held-out photographs:")
    _measured_detector(folder, detector.test_hand_draw, count)


def make_camera_check(folder: Path, share: float) -> None:
    net = classifier.train(classifier.Plan().part(share), _say)
    export.save_classifier(net, conditions.SIDE, folder)
    finish_camera_check(folder)


def finish_camera_check(folder: Path, count: int = 700) -> None:
    """All but the training: description, sample, measures."""
    labels = conditions.LABELS
    export.describe(folder, 2, "classification", labels, conditions.SIDE)
    samples.classifier_sample(folder, samples.blurred_scene(), labels)
    drawn = classifier.draw(np.random.default_rng(88), photos.HELD_OUT, count, varied=False)
    answers, ms = lite.run(folder, np.stack([picture for picture, _ in drawn]))
    table = np.zeros((len(labels), len(labels)), np.int64)
    for (_, truth), scores in zip(drawn, answers):
        table[truth, int(scores.argmax())] += 1
    print(f"held-out photographs: {np.trace(table) / table.sum():.3f} right; {ms:.1f} ms a picture")
    print("  rows are the truth; columns " + ", ".join(labels))
    for label, row in zip(labels, table):
        print(f"  {label:12s}" + " ".join(f"{n:5d}" for n in row), flush=True)


def make_print(folder: Path, share: float) -> None:
    """Both parts keep what they have learned so far in the folder for temporary files."""
    keep = Path(tempfile.gettempdir())
    print("its detector:", flush=True)
    finder = text_detector.train(
        text_detector.Plan().part(share), _say, keep / "text_detector.pdparams"
    )
    export.save_text_detector(finder, folder)
    print("its reader:", flush=True)
    reader = text_reader.train(text_reader.Plan().part(share), _say, keep / "text_reader.pdparams")
    export.save_text_reader(reader, folder)
    finish_print(folder)


def finish_print(folder: Path, lines: int = 3000, scenes: int = 300) -> None:
    """All but the training: description, sample, measures."""
    export.describe_text(folder, 3, LANGUAGES)
    samples.text_sample(folder, samples.text_scene())
    print("lines over held-out photographs:")
    for name, held_out in (("fonts of the training", False), ("held-out fonts", True)):
        read = text_measure.reader(folder, lines, held_out)
        print(
            f"  {name}: {read.letters:.3f} of the letters right, {read.lines:.3f} of the lines; "
            f"{read.ms:.1f} ms a line",
            flush=True,
        )
    print("held-out fonts and photographs, through the service:")
    print(" ", text_measure.through_service(folder, 3, scenes), flush=True)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description="Train and export the demo models.")
    parser.add_argument("--only", choices=MODELS, help="make one of them")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parents[1] / "models", help="default: models/"
    )
    parser.add_argument(
        "--share", type=float, default=1.0, help="part of the full training, for a quick try"
    )
    options = parser.parse_args(arguments)
    makers = {"digits": make_digits, "camera-check": make_camera_check, "print": make_print}
    for name in [options.only] if options.only else MODELS:
        print(name, flush=True)
        makers[name](options.out / name, options.share)


if __name__ == "__main__":
    main()

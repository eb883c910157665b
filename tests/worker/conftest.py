"""What the tests of drawing share beside `drawn.py`."""

from __future__ import annotations

from typing import Any, Iterator

import cv2
import pytest

from edged.worker import fonts
from tests.worker.drawn import Texts


@pytest.fixture
def fresh_fonts() -> Iterator[None]:
    fonts.forget()
    yield
    fonts.forget()


@pytest.fixture
def put_texts(monkeypatch: pytest.MonkeyPatch) -> Texts:
    """What cv2 was asked to write, in order."""
    texts: Texts = []
    put_text = cv2.putText

    def spy(picture: Any, text: str, *rest: Any) -> Any:
        texts.append(text)
        return put_text(picture, text, *rest)

    monkeypatch.setattr(cv2, "putText", spy)
    return texts

"""Pictures in the conditions that a camera gets into, made from photographs.

Strengths are given for a picture as the classifier sees it, 224 pixels wide, and applied in the
picture's own size: a blur that the resize would hide is no blur to the classifier. Between "clear"
and each fault lies a gap of strengths that nobody could name; nothing is drawn from it.
"""

from typing import Callable, Dict, Optional, Sequence, Tuple

import cv2
import numpy as np

from .glyphs import Floats
from .photos import Picture
from .writing import FONTS, Rng, soft_field

SIDE = 224
LABELS = ("clear", "blurred", "dark", "overexposed", "noisy", "foggy", "covered")


def _crop(rng: Rng, photo: Picture, smallest: int) -> Picture:
    h, w = photo.shape[:2]
    cw = int(rng.integers(min(smallest, w), w + 1))
    ch = int(np.clip(cw * rng.uniform(0.55, 1.3), min(smallest * 0.7, h), h))
    y, x = rng.integers(h - ch + 1), rng.integers(w - cw + 1)
    crop = photo[y : y + ch, x : x + cw]
    return np.ascontiguousarray(crop[:, ::-1] if rng.random() < 0.5 else crop)


def _text(rng: Rng, picture: Picture) -> None:
    """Lines of print over the picture, dark or light."""
    h, w = picture.shape[:2]
    size = rng.uniform(0.03, 0.1) * w
    ink = (rng.uniform(0, 70, 3) if picture.mean() > 110 else rng.uniform(190, 255, 3)).tolist()
    font = FONTS[rng.integers(len(FONTS))]
    for y in np.arange(size * 1.5, h, size * rng.uniform(1.3, 2.2)):
        text = "".join(chr(c) for c in rng.integers(33, 123, int(w / size)))
        cv2.putText(
            picture,
            text,
            (int(rng.uniform(0, 0.1) * w), int(y)),
            font,
            size / 30,
            ink,
            max(1, int(size / 12)),
            cv2.LINE_AA,
        )


def subject(rng: Rng, photos: Sequence[Picture], varied: bool = True) -> Tuple[Picture, bool]:
    """A sharp, well lit picture of some size, and whether it is a page rather than a photograph."""
    photo = _crop(rng, photos[rng.integers(len(photos))], 240)
    width = int(np.exp(rng.uniform(np.log(224), np.log(720))))
    size = (width, max(150, int(width * photo.shape[0] / photo.shape[1])))
    shrinks = width < photo.shape[1]
    picture = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    if not varied:
        return np.asarray(picture, np.uint8), False
    page = rng.random() < 0.12
    if page:
        paper = rng.uniform(165, 250) * rng.uniform(0.9, 1.0, 3)
        shade = 1 - soft_field(rng, size[1], size[0], 3)[..., None] * rng.uniform(0, 0.3)
        picture = np.clip(paper * shade, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 4)) if rng.random() < 0.4 else 0):
        patch = _crop(rng, photos[rng.integers(len(photos))], 160)
        pw, ph = (int(s * rng.uniform(0.2, 0.6)) for s in size)
        x, y = rng.integers(size[0] - pw + 1), rng.integers(size[1] - ph + 1)
        picture[y : y + ph, x : x + pw] = cv2.resize(patch, (pw, ph), interpolation=cv2.INTER_AREA)
    if page or rng.random() < 0.07:
        _text(rng, picture)
    if rng.random() < 0.3:
        picture = picture[..., rng.permutation(3)]
    if rng.random() < 0.35:  # cameras sharpen, and a picture made small looks sharper still
        soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.6, 1.2) * width / SIDE)
        amount = rng.uniform(0.3, 1.4)
        picture = cv2.addWeighted(picture, 1 + amount, soft, -amount, 0)
    toned = picture.astype(np.float32) * rng.uniform(0.8, 1.2, 3) * rng.uniform(0.75, 1.2)
    return np.clip(toned, 0, 255).astype(np.uint8), page


def _luminance(picture: Picture) -> Floats:
    small = cv2.resize(picture, (96, 96), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.float32)


def _finish(image: Floats) -> Picture:
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def _grain(rng: Rng, shape: Tuple[int, ...], sigma: float) -> Floats:
    """Sensor noise [h,w,3]: per channel or common to all, fine or two pixels wide."""
    h, w = shape[:2]
    coarse = rng.random() < 0.3
    size = (h // 2 + 1, w // 2 + 1) if coarse else (h, w)
    noise = rng.standard_normal(
        (*size, 3 if rng.random() < 0.6 else 1), dtype=np.float32
    ) * np.float32(sigma)
    if coarse:
        noise = cv2.resize(noise, (w, h), interpolation=cv2.INTER_LINEAR).reshape(h, w, -1)
    return noise


def clear(rng: Rng, picture: Picture) -> Optional[Picture]:
    image = picture.astype(np.float32)
    if rng.random() < 0.5:  # a lens that is no better than most
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.2, 1.0) * picture.shape[1] / SIDE)
    if rng.random() < 0.5:
        image += _grain(rng, picture.shape, rng.uniform(0, 5))
    if rng.random() < 0.4:
        image = image * rng.uniform(0.8, 1.0) + rng.uniform(0, 20)
    out = _finish(image)
    light = _luminance(out)
    well_lit = 62 < light.mean() < 225 and light.std() > 18 and (light > 249).mean() < 0.15
    return out if well_lit else None


def blurred(rng: Rng, picture: Picture) -> Optional[Picture]:
    """Out of focus (Gaussian or disc) or moved."""
    unit = picture.shape[1] / SIDE
    kind = rng.random()
    if kind < 0.4:
        out = cv2.GaussianBlur(picture, (0, 0), rng.uniform(2.2, 6.0) * unit)
    else:
        span = int((rng.uniform(4.0, 9.0) * 2 if kind < 0.65 else rng.uniform(11, 26)) * unit) | 1
        kernel = np.zeros((span, span), np.float32)
        if kind < 0.65:
            cv2.circle(kernel, (span // 2, span // 2), span // 2, 1.0, -1)
        else:
            angle = rng.uniform(0, np.pi)
            reach = np.array([np.cos(angle), np.sin(angle)]) * span / 2
            ends = [tuple(int(v) for v in np.round(span // 2 + s * reach)) for s in (-1, 1)]
            cv2.line(kernel, ends[0], ends[1], 1.0, max(1, int(unit)))
        out = cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)
    out = _finish(out.astype(np.float32) + _grain(rng, out.shape, rng.uniform(0, 4)))
    light = _luminance(out)
    return out if 62 < light.mean() < 225 and light.std() > 14 else None


def dark(rng: Rng, picture: Picture) -> Optional[Picture]:
    """Too little light; the sensor's noise shows."""
    image = (
        255 * (picture.astype(np.float32) / 255) ** rng.uniform(0.9, 1.8) * rng.uniform(0.04, 0.35)
    )
    out = _finish(image + _grain(rng, picture.shape, rng.uniform(0, 5)))
    light = _luminance(out)
    return out if light.mean() < 38 and np.percentile(light, 98) - light.min() > 22 else None


def overexposed(rng: Rng, picture: Picture) -> Optional[Picture]:
    image = picture.astype(np.float32) * rng.uniform(1.6, 5.0) + rng.uniform(0, 60)
    if rng.random() < 0.3:  # glare from one side
        image += (soft_field(rng, *picture.shape[:2], 3) * rng.uniform(60, 200))[..., None]
    out = _finish(image + _grain(rng, picture.shape, rng.uniform(0, 3)))
    light = _luminance(out)
    return out if (light > 249).mean() > 0.38 and light.std() > 9 else None


def noisy(rng: Rng, picture: Picture) -> Optional[Picture]:
    image = picture.astype(np.float32)
    if rng.random() < 0.75:
        sigma = rng.uniform(28, 75) * (
            1.3 if picture.shape[1] > 1.3 * SIDE else 1.0
        )  # the resize averages some away
        strength = np.sqrt(image / 255 + 0.15) if rng.random() < 0.5 else 1.0
        image = image + _grain(rng, picture.shape, sigma) * strength
    else:
        hits = rng.random(picture.shape[:2])
        share = rng.uniform(0.025, 0.1)
        image[hits < share] = 0
        image[hits > 1 - share] = 255
    out = _finish(image)
    return out if 45 < _luminance(out).mean() < 225 else None


def foggy(rng: Rng, picture: Picture) -> Optional[Picture]:
    """Haze that thickens upwards or in drifts."""
    h, w = picture.shape[:2]
    thin = rng.uniform(0.12, 0.38)
    if rng.random() < 0.5:
        depth = np.linspace(rng.uniform(-0.12, 0.0), rng.uniform(0.0, 0.15), h, dtype=np.float32)[
            :, None
        ]
        through = np.broadcast_to(thin + depth, (h, w))
    else:
        through = thin + (soft_field(rng, h, w, 4) - 0.5) * rng.uniform(0, 0.25)
    through = np.clip(through, 0.07, 0.5)[..., None]
    air = rng.uniform(150, 232) * np.array([1.0, 1.0, 1.0]) + rng.uniform(-6, 8, 3)
    soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.2, 0.8) * w / SIDE).astype(np.float32)
    out = _finish(
        soft * through + air * (1 - through) + _grain(rng, picture.shape, rng.uniform(0, 3))
    )
    return out if 7 < _luminance(out).std() < 34 else None


def covered(rng: Rng, picture: Picture) -> Optional[Picture]:
    """A cap, a hand or tape over the lens: no detail at all, or a blurred rest at one edge."""
    h, w = picture.shape[:2]
    tone = rng.random()
    if tone < 0.4:
        colour = rng.uniform(0, 14) + rng.uniform(0, 5, 3)
    elif tone < 0.7:  # skin with light shining through, BGR
        colour = np.array([rng.uniform(10, 60), rng.uniform(15, 80), rng.uniform(60, 190)])
    else:
        colour = rng.uniform(20, 215) * rng.uniform(0.85, 1.1, 3)
    shade = 1 + (soft_field(rng, h, w, int(rng.integers(2, 5))) - 0.5) * rng.uniform(0.05, 0.8)
    cover = shade[..., None] * colour
    image = cover
    if rng.random() < 0.35:
        ys, xs = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
        angle = rng.uniform(0, 2 * np.pi)
        edge = soft_field(rng, h, w, 3) + 1.5 * (np.cos(angle) * xs + np.sin(angle) * ys)
        rest = 1 / (
            1
            + np.exp(
                -np.clip(
                    (edge - np.percentile(edge, rng.uniform(80, 95))) * rng.uniform(8, 40), -30, 30
                )
            )
        )
        far = cv2.GaussianBlur(picture, (0, 0), rng.uniform(1, 5) * w / SIDE).astype(np.float32)
        image = cover + (far - cover) * rest[..., None]
    return _finish(image + _grain(rng, picture.shape, rng.uniform(0, 5)))


FAULTS: Dict[str, Callable[[Rng, Picture], Optional[Picture]]] = {
    "clear": clear,
    "blurred": blurred,
    "dark": dark,
    "overexposed": overexposed,
    "noisy": noisy,
    "foggy": foggy,
    "covered": covered,
}


def example(rng: Rng, photos: Sequence[Picture], label: str, varied: bool = True) -> Picture:
    """A picture in condition `label`, in its own size, through JPEG as cameras send it."""
    while True:
        picture, page = subject(rng, photos, varied)
        if page and label in ("overexposed", "foggy"):
            continue  # white paper is white in any light
        out = FAULTS[label](rng, picture)
        if out is not None:
            break
    if rng.random() < 0.8:
        _, data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(45, 96))])
        out = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return out


def as_input(picture: Picture) -> Picture:
    """The resize that model.yaml asks for."""
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)

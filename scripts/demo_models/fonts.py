"""The free fonts that print is drawn with, as Debian's packages install them.

Split by family: nothing of a held-out one is seen in training, nor of one drawn after it.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Tuple

from PIL import ImageFont

_ROOTS = (Path("/usr/share/fonts"), Path("/usr/share/texmf/fonts"))
# No hairlines, which a camera does not see, and no small capitals, which are another alphabet.
_LEFT_OUT = ("Hairline", "Thin", "Smallcaps", "_K.", "_I.", "LinLibertine_I")

# Patterns of file names, by the package that has them.
TRAIN = {
    "fonts-dejavu-core fonts-dejavu-extra": ("DejaVuSans*.ttf", "DejaVuSerif*.ttf"),
    "fonts-liberation": ("Liberation*.ttf",),
    "fonts-freefont-ttf": ("Free*.ttf",),
    "fonts-noto-core": (
        *("NotoSans-*.ttf", "NotoSerif-*.ttf", "NotoSansDisplay-*.ttf", "NotoSerifDisplay-*.ttf"),
    ),
    "fonts-noto-mono": ("NotoMono-*.ttf", "NotoSansMono-*.ttf"),
    "fonts-roboto-unhinted": ("Roboto-*.ttf", "RobotoCondensed-*.ttf"),
    "fonts-roboto-slab": ("RobotoSlab-*.otf",),
    "fonts-lato": ("Lato-*.ttf",),
    "fonts-open-sans": ("OpenSans-*.ttf",),
    "fonts-cantarell": ("Cantarell-*.otf",),
    "fonts-crosextra-caladea": ("Caladea-*.ttf",),
    "fonts-inconsolata": ("Inconsolata.otf",),
    "fonts-firacode": ("FiraCode-*.ttf",),
    "fonts-jetbrains-mono": ("JetBrainsMono-*.ttf",),
    "fonts-ebgaramond": ("EBGaramond12-*.otf",),
    "fonts-comfortaa": ("Comfortaa-*.ttf",),
    "fonts-oxygen": ("Oxygen*.ttf",),
    "fonts-quicksand": ("Quicksand-*.ttf",),
    "fonts-texgyre": (
        *("texgyreadventor-*.otf", "texgyrebonum-*.otf", "texgyrecursor-*.otf"),
        *("texgyreheros*.otf", "texgyrepagella-*.otf", "texgyreschola-*.otf"),
    ),
    "fonts-play": ("Play-*.ttf",),
    "fonts-jura": ("Jura-*.otf",),
    "fonts-cabin": ("Cabin-*.otf",),
    "fonts-dosis": ("Dosis-*.otf",),
    "fonts-yanone-kaffeesatz": ("YanoneKaffeesatz-*.otf",),
    "fonts-karla": ("Karla-*.ttf",),
    "fonts-courier-prime": ("Courier Prime*.otf",),
    "fonts-linuxlibertine": ("LinLibertine_*.otf", "LinBiolinum_*.otf"),
    "fonts-anonymous-pro": ("Anonymous Pro*.ttf",),
    "fonts-go": ("Go-*.ttf",),
}
HELD_OUT = {
    "fonts-paratype": ("PT*.ttf",),  # PT Sans, PT Serif and PT Mono
    "fonts-vollkorn": ("Vollkorn-*.ttf",),
    "fonts-sil-charis": ("CharisSIL-*.ttf",),
    "fonts-inter": ("Inter-*.otf",),
    "fonts-mononoki": ("mononoki-*.ttf",),
}


class Family(NamedTuple):
    """A package's fonts, which lots are drawn among by family first."""

    package: str
    files: Tuple[str, ...]


@lru_cache(maxsize=2)
def families(held_out: bool = False) -> Tuple[Family, ...]:
    """Raises FileNotFoundError with the packages that are not installed."""
    wanted = HELD_OUT if held_out else TRAIN
    found = [Family(package, _files(patterns)) for package, patterns in wanted.items()]
    missing = [family.package for family in found if not family.files]
    if missing:
        raise FileNotFoundError(f"apt-get install {' '.join(missing)}")
    return tuple(found)


def _files(patterns: Tuple[str, ...]) -> Tuple[str, ...]:
    there = {
        path.name: str(path) for root in _ROOTS for one in patterns for path in root.rglob(one)
    }
    return tuple(
        path for name, path in sorted(there.items()) if not any(part in name for part in _LEFT_OUT)
    )


@lru_cache(maxsize=4096)
def at(path: str, size: int) -> ImageFont.FreeTypeFont:
    """Letter by letter, without ligatures."""
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)

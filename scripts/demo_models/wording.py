"""What is printed: words, numbers, dates, prices, codes and plain nonsense, in ASCII."""

import re
from functools import lru_cache
from pydoc_data.topics import topics
from typing import Callable, Tuple

from .writing import Rng

LETTERS = tuple(chr(code) for code in range(33, 127))
"""The dictionary, without the space."""
LONGEST = 25

_CONSONANTS = ("b", "c", "ch", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "qu", "r", "s")
_CONSONANTS += ("sh", "st", "t", "th", "tr", "v", "w", "x", "y", "z", "ll", "ss", "pp", "ck")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ee", "oo", "ou", "io")
_ENDS = (".com", ".org", ".net", ".de", ".cn", ".io")


@lru_cache(maxsize=1)
def _words() -> Tuple[str, ...]:
    """English as it is written, from the texts that Python explains itself with."""
    texts = " ".join(topics[name] for name in sorted(topics))
    return tuple(word for word in texts.split() if re.fullmatch(r"[!-~]{1,14}", word))


def _phrase(rng: Rng) -> str:
    words, count = _words(), int(rng.integers(1, 6))
    first = int(rng.integers(len(words) - count))
    return _cased(rng, " ".join(words[first : first + count]))


def _made_up(rng: Rng) -> str:
    words = [
        "".join(
            _CONSONANTS[rng.integers(len(_CONSONANTS))] + _VOWELS[rng.integers(len(_VOWELS))]
            for _ in range(int(rng.integers(1, 4)))
        )
        for _ in range(int(rng.integers(1, 4)))
    ]
    return _cased(rng, " ".join(words))


def _cased(rng: Rng, text: str) -> str:
    kind = rng.random()
    if kind < 0.25:
        return text.upper()
    return text.title() if kind < 0.5 else text


def _nonsense(rng: Rng) -> str:
    count = int(rng.integers(1, 13))
    text = "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=count))
    if count > 5 and rng.random() < 0.4:
        middle = int(rng.integers(2, count - 2))
        text = f"{text[:middle]} {text[middle:]}"
    return text


def _digits(rng: Rng, count: int) -> str:
    return "".join(str(digit) for digit in rng.integers(0, 10, count))


def _number(rng: Rng) -> str:
    number = int(10 ** rng.uniform(0, 7))
    part = _digits(rng, int(rng.integers(1, 4)))
    forms = (
        f"{number}",
        f"{number:,}",
        f"{number % 10000}.{part}",
        f"{'+-'[rng.integers(2)]}{number % 1000}.{part}",
        f"{number % 100}%",
        f"({number})",
        f"#{number}",
        f"{number % 1000} {('kg', 'mm', 'GB', 'V', 'ml', 'kWh', 'Hz')[rng.integers(7)]}",
    )
    return forms[rng.integers(len(forms))]


def _date(rng: Rng) -> str:
    year, month, day = rng.integers(1950, 2050), rng.integers(1, 13), rng.integers(1, 32)
    hour, minute = rng.integers(0, 24), rng.integers(0, 60)
    name = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    forms = (
        f"{year}-{month:02}-{day:02}",
        f"{day:02}.{month:02}.{year}",
        f"{month}/{day}/{year % 100:02}",
        f"{day} {name[month - 1]} {year}",
        f"{hour:02}:{minute:02}",
        f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}",
        f"EXP {month:02}/{year}",
    )
    return forms[rng.integers(len(forms))]


def _price(rng: Rng) -> str:
    amount = 10 ** rng.uniform(0, 4)
    forms = (f"${amount:.2f}", f"{amount:,.2f}", f"EUR {amount:.2f}", f"{amount:.0f}.-")
    label = ("", "", "Total: ", "TOTAL ", "Price ", "2 x ")[rng.integers(6)]
    return label + forms[rng.integers(len(forms))]


def _code(rng: Rng) -> str:
    capitals = "".join(chr(65 + i) for i in rng.integers(0, 26, int(rng.integers(1, 4))))
    digits = _digits(rng, int(rng.integers(2, 7)))
    forms = (
        f"{capitals}-{digits}",
        f"{capitals}{digits}{capitals[0]}",
        f"{digits[:2]} {capitals} {digits}",
        f"No. {digits}",
        f"S/N {capitals}{digits}",
        f"0x{int(digits):X}",
        f"+{_digits(rng, 2)} {_digits(rng, 3)} {digits}",
        f"[{capitals}] {digits}",
    )
    return forms[rng.integers(len(forms))]


def _address(rng: Rng) -> str:
    name, place = _made_up(rng).lower().split(" ")[0], _made_up(rng).lower().split(" ")[0]
    end = _ENDS[rng.integers(len(_ENDS))]
    forms = (f"{name}@{place}{end}", f"www.{place}{end}", f"https://{place}{end}/{name}")
    return forms[rng.integers(len(forms))]


_KINDS: Tuple[Tuple[float, Callable[[Rng], str]], ...] = (
    (0.36, _phrase),
    (0.14, _made_up),
    (0.18, _nonsense),
    (0.10, _number),
    (0.07, _date),
    (0.05, _price),
    (0.07, _code),
    (0.03, _address),
)


def line(rng: Rng, longest: int = LONGEST) -> str:
    """1 to `longest` printable characters, neither first nor last a space."""
    shares, makers = zip(*_KINDS)
    text = makers[int(rng.choice(len(makers), p=shares))](rng)
    if rng.random() < 0.08:  # alone, as on keys and in tables
        text = text[: int(rng.integers(1, 4))]
    return text[:longest].strip()

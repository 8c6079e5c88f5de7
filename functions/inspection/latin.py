"""Text in any script, in ASCII: for the font of the pictures, and for services that take nothing else."""

from __future__ import annotations

import unicodedata

from anyascii import anyascii

from contract.text import plain

# Readers of these languages expect two letters; anyascii drops the dots.
_PAIRS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ẞ": "SS"}
    | {"å": "aa", "Å": "Aa", "ø": "oe", "Ø": "Oe"}
)


def transliterate(text: str) -> str:
    """Return the text on one line, in printable ASCII. A character that has no equivalent becomes `?`.

    >>> transliterate("Größe"), transliterate("царапина"), transliterate("划痕")
    ('Groesse', 'tsarapina', 'HuaHen')
    """
    # A letter and its accent may come as two characters, as in file names of macOS.
    composed = unicodedata.normalize("NFC", plain(text)).translate(_PAIRS)
    return "".join(_ascii(character) for character in composed)


def _ascii(character: str) -> str:
    if " " <= character <= "~":
        return character
    if unicodedata.category(character)[0] in "CM":
        return ""
    return "".join(letter for letter in anyascii(character) if " " <= letter <= "~") or "?"

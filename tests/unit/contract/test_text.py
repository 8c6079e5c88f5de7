"""Text from outside is safe to print."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.text import plain, plain_lines


@pytest.mark.promise(31)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[/b] b].jpg [red]", "[/b] b].jpg [red]"),
        ("Gehäuse-Öse ß 部品", "Gehäuse-Öse ß 部品"),
        ("a\x1b[2Jb\x1b]8;;http://evil\x1b\\c\x9b31md", "abcd"),
        ("a\x1b]0;never ended", "a"),
        ("gpj.\u202etrap", "gpj.trap"),
        ("one\r\ntwo\tthree", "one two three"),
        ("\x00\x07\x7f\ud800x", "x"),
    ],
)
def test_escapes_and_controls_are_removed_and_letters_stay(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.promise(31)
@given(st.text(st.characters(), max_size=40))
def test_no_control_character_is_left_in_any_text(text: str) -> None:
    kept = plain(text)
    assert not [character for character in kept if unicodedata.category(character) in ("Cc", "Cs")]
    assert plain(kept) == kept


@pytest.mark.promise(31)
@given(st.text(st.characters(), max_size=40))
def test_lines_stay_lines(text: str) -> None:
    controls = [c for c in plain_lines(text) if unicodedata.category(c) in ("Cc", "Cs")]
    assert set(controls) <= {"\n", "\t"}

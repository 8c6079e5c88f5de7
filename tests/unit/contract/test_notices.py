"""Subjects of notices are what SNS accepts, and are cut between characters."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.notices import MAX_SUBJECT, length, shorten, subject


@given(st.text(max_size=300))
def test_a_subject_is_one_line_without_control_characters_and_shorter_than_100(text: str) -> None:
    shown = subject(text)
    assert 0 < length(shown) <= MAX_SUBJECT < 100
    assert not any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in shown)
    assert unicodedata.category(shown[0])[0] in "LNPS"
    assert shown == shown.strip()


@given(st.text("abc ä\u0308", max_size=99))
def test_a_short_text_is_not_cut(text: str) -> None:
    assert shorten(text, 99) == text


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("abcdefgh", 7, "abcd..."),
        ("abc defgh", 7, "abc..."),
        ("abcde\u0301fgh", 8, "abcd..."),  # e with an accent of its own
        ("ab\U0001f468\u200d\U0001f469\u200d\U0001f467cdefgh", 12, "ab..."),  # a family of three
        ("ab\U0001f44d\U0001f3fecdefgh", 8, "ab..."),  # a thumb with a skin tone
        ("\U0001f527" * 10, 8, "\U0001f527\U0001f527..."),  # each counts twice
    ],
)
def test_a_text_is_cut_between_characters_as_a_reader_sees_them(text: str, limit: int, shown: str) -> None:
    assert shorten(text, limit) == shown
    assert length(shown) <= limit


def test_terminal_escapes_and_line_breaks_do_not_reach_a_subject() -> None:
    assert subject("one\r\nBcc: two\x1b]0;title\x07 \u202eüber") == "one Bcc: two über"


def test_a_subject_of_nothing_printable_is_still_a_subject() -> None:
    assert subject("\u200d\u0301\x00 ") == "Loupe"

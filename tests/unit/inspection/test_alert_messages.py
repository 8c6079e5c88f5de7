"""The alert for people and for machines."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.inspections import Verdict
from inspection.messages import attributes, describe, message, sms, subject, text

LINK = "https://bucket/picture?signed"


def record(count: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a record as the table returns it."""
    return {
        "id": "3f1e0a5b9c8d7e6f5a4b3c2d1e0f9a8b",
        "verdict": "fail",
        "severity": "major",
        "line": "line-1",
        "station": "top",
        "serial": "SN1001",
        "reasons": [
            {
                "code": "defect",
                "label": "scratches",
                "score": Decimal("0.91"),
                "fail_score": Decimal("0.5"),
                "severity": "major",
                "detection": n,
            }
            for n in map(Decimal, range(count))
        ],
        "detections": [
            {
                "label": "scratches",
                "score": Decimal("0.91"),
                "box": [Decimal(12), Decimal("30.5"), Decimal(88), Decimal(120)],
            }
        ]
        * count
        + [{"label": "pits", "score": Decimal("0.2"), "box": [Decimal(0)] * 4}],
        "image": "s3://images/incoming/line-1/top/SN1001.jpg",
        "version_id": "v1",
        "model": {"name": "steel", "version": "7"},
        "rules_version": "3",
        "captured_at": "2026-01-05T09:30:14.000Z",
        "inspected_at": "2026-01-05T09:30:16.500Z",
    } | changes


def test_the_text_tells_an_operator_the_defects_and_their_place() -> None:
    assert text(describe(record(), LINK)) == (
        "MAJOR defect on line-1/top\n"
        "\n"
        "Line:     line-1\n"
        "Station:  top\n"
        "Serial:   SN1001\n"
        "Taken:    2026-01-05 09:30:14 UTC\n"
        "\n"
        "Defects:\n"
        "  scratches, 91% sure, major, at x 12-88, y 30-120\n"
        "\n"
        "Picture with the defects framed:\n"
        "https://bucket/picture?signed\n"
        "\n"
        "Image:    s3://images/incoming/line-1/top/SN1001.jpg (version v1)\n"
        "Model:    steel 7, rules 3\n"
        "Alert:    3f1e0a5b9c8d7e6f5a4b3c2d1e0f9a8b"
    )
    assert subject(describe(record(), LINK)) == "MAJOR defect on line-1/top: scratches (SN1001)"
    assert sms(describe(record(), LINK)) == "MAJOR defect on line-1/top: scratches. Serial SN1001"


def test_the_document_contains_only_the_defects_each_with_its_severity() -> None:
    document = describe(record(), None)
    assert document["defects"] == [
        {
            "label": "scratches",
            "score": 0.91,
            "fail_score": 0.5,
            "box": (12.0, 30.5, 88.0, 120.0),
            "severity": "major",
        }
    ]
    assert document["defect_count"] == 1
    assert document["picture_url"] is None


def test_a_long_list_of_defects_is_cut_and_still_counted() -> None:
    document = describe(record(count=200), LINK)
    assert (len(document["defects"]), document["defect_count"]) == (30, 200)
    assert "  and 190 more" in text(document)


@pytest.mark.parametrize("letter", ["x", "ü", "\U0001f527", '"', "\\"])
def test_sns_has_room_for_the_longest_alert(letter: str) -> None:
    """SNS takes 256 KiB, and an alert that is too large would be lost."""
    longest = record(count=500, serial=letter * 200, image="s3://images/incoming/" + letter * 200)
    for number, detection in enumerate(longest["detections"]):
        longest["detections"][number] = detection | {"label": letter * 197 + str(number)}
    document = describe(longest, LINK + "s" * 2000)
    size = len(message(document).encode()) + len(
        json.dumps(attributes(document), ensure_ascii=False).encode()
    )
    assert size < 256 * 1024


@pytest.mark.parametrize(("score", "shown"), [("0.91", "91%"), ("0.504", "50.4%"), ("0.5", "50%")])
def test_the_text_shows_the_digits_of_the_score_that_decide(score: str, shown: str) -> None:
    near = record()
    near["detections"][0] |= {"score": Decimal(score)}
    assert f"  scratches, {shown} sure, major" in text(describe(near, LINK))


def test_a_record_of_an_earlier_release_can_be_described() -> None:
    old = record()
    del old["reasons"][0]["fail_score"]
    assert describe(old, LINK)["defects"][0]["fail_score"] == 0.5


def test_the_text_explains_a_missing_picture() -> None:
    assert "could not be read again" in text(describe(record(), None))


@pytest.mark.promise(31)
@given(st.text(), st.text(), st.text())
def test_sns_accepts_every_subject(line: str, station: str, serial: str) -> None:
    """https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: UTF-8, no control characters, less than 100."""
    header = subject(describe(record(line=line, station=station, serial=serial), LINK))
    assert header.startswith("MAJOR defect on ")
    assert 0 < len(header.encode("utf-16-le")) // 2 < 100
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in header)
    assert len(sms(describe(record(line=line), LINK))) <= 140


def test_umlauts_and_other_scripts_stay_in_the_subject() -> None:
    document = describe(record(line="Süd", station="Prüfung", serial="Größe-7 划痕"), LINK)
    assert subject(document) == "MAJOR defect on Süd/Prüfung: scratches (Größe-7 划痕)"


def test_a_long_subject_names_the_worst_class_and_keeps_the_serial() -> None:
    many = record(count=6, serial="SN-2026-0042")
    for number, detection in enumerate(many["detections"]):
        many["detections"][number] = detection | {"label": f"rolled-in scale {number}"}
    assert (
        subject(describe(many, LINK))
        == "MAJOR defect on line-1/top: rolled-in scale 0 + 5 more (SN-2026-0042)"
    )


HOSTILE = "SN\x1b[31m1\r\nBcc: x\u202e\x07"


@pytest.mark.promise(31)
def test_what_people_read_has_no_control_characters_and_no_forged_lines() -> None:
    hostile = record(
        line=HOSTILE,
        station=HOSTILE,
        serial=HOSTILE,
        rules_version=HOSTILE,
        model={"name": HOSTILE, "version": HOSTILE},
        image=f"s3://images/incoming/{HOSTILE}.jpg",
    )
    hostile["detections"][0] |= {"label": HOSTILE}
    document = describe(hostile, LINK)
    shown = [text(document), subject(document), sms(document), json.dumps(attributes(document))]
    shown += [json.dumps(value) for name, value in document.items() if name != "image"]
    for part in shown:
        assert not any(sign in part for sign in ("\x1b", "\\u001b", "\r", "\\r", "\u202e", "\\u202e", "\x07"))
    assert text(document).count("\n") == text(describe(record(), LINK)).count("\n")
    assert subject(document) == "MAJOR defect on SN1 Bcc: x/SN1 Bcc: x: SN1 Bcc: x (SN1 Bcc: x)"
    # Machines need the exact key.
    assert document["image"] == hostile["image"]


def test_a_line_without_a_printable_name_is_left_out_of_the_attributes() -> None:
    """SNS refuses an empty attribute, and the alert with it."""
    assert "line" not in attributes(describe(record(line="\x07"), LINK))


def test_doubtful_and_allowed_detections_are_no_defects_of_the_alert() -> None:
    mixed = record(count=3)
    for reason, code in zip(mixed["reasons"], ("defect", "doubtful", "allowed"), strict=True):
        reason["code"] = code
    assert mixed["verdict"] == Verdict.FAIL
    assert describe(mixed, LINK)["defect_count"] == 1

"""Inspections as CSV."""

import csv
import io

import pytest

from contract.spreadsheets import csv_text

RECORD = {
    "received_at": "2026-03-01T22:00:00.000Z",
    "line": "line-1",
    "station": "top",
    "serial": "4711",
    "verdict": "review",
    "reasons": [
        {"code": "doubtful", "message": "possible defect: scratches 0.498"},
        {"code": "bad_picture", "message": "blurred: sharpness 3 is below 5"},
    ],
    "model": {"name": "ssdlite", "version": "7"},
}


def test_csv_has_a_header_and_one_line_for_each_inspection():
    rows = list(csv.DictReader(io.StringIO(csv_text([RECORD, RECORD]))))
    assert len(rows) == 2
    assert rows[0]["serial"] == "4711"
    assert rows[0]["why"] == "possible defect: scratches 0.498; blurred: sharpness 3 is below 5"
    assert (rows[0]["model"], rows[0]["model_version"], rows[0]["severity"]) == ("ssdlite", "7", "")


def test_the_csv_has_the_score_of_an_anomaly_model_and_no_heat_map():
    anomaly = {"score": 0.93, "model": {"name": "good-parts", "version": "3"}, "heat_map": "6d0f"}
    first, second = csv.DictReader(io.StringIO(csv_text([RECORD | {"anomaly": anomaly}, RECORD])))
    assert (first["anomaly_score"], second["anomaly_score"]) == ("0.93", "")
    assert "6d0f" not in first.values()


@pytest.mark.parametrize("score", [{}, {"score": None}], ids=["left out", "null"])
def test_the_csv_has_no_score_of_what_the_anomaly_model_could_not_judge(score):
    anomaly = {"distance": 91.0, "model": {"name": "good-parts", "version": "3"}, **score}
    (row,) = csv.DictReader(io.StringIO(csv_text([RECORD | {"anomaly": anomaly}])))
    assert row["anomaly_score"] == ""


@pytest.mark.promise(31)
@pytest.mark.parametrize(
    "serial", ["=cmd()", "+1", "-1", "@x", "=\x1b[31m1", "\t=1", " =1", "\r\n@x", "\x00=1"]
)
def test_no_cell_of_the_csv_is_a_formula(serial: str):
    (row,) = csv.DictReader(io.StringIO(csv_text([RECORD | {"serial": serial}])))
    assert row["serial"].startswith("'")
    assert row["serial"].isprintable()


def test_a_text_with_quotes_and_commas_stays_one_cell():
    (row,) = csv.DictReader(io.StringIO(csv_text([RECORD | {"line": 'a,"b";\nc'}])))
    assert row["line"] == 'a,"b"; c'

"""Who did what: appended, in order, and never changed."""

from tests.unit.review.desk import Desk


def test_the_newest_entry_comes_first_and_the_older_ones_page_by_page(desk: Desk) -> None:
    for number in range(5):
        desk.history.append("rules", f"user-{number}", "changed", {"number": number}, {"number": number + 1})
        desk.wait(seconds=1)
    desk.history.append("model", "ada", "rolled_back", "8", "7", "it missed scratches")

    first = desk.history.read("rules", limit=2)
    rest = desk.history.read("rules", limit=10, before=first[-1]["id"])

    assert [entry["by"] for entry in first + rest] == ["user-4", "user-3", "user-2", "user-1", "user-0"]
    assert first[0]["at"] == "2026-01-31T08:00:04.000Z"
    assert first[0]["old"] == {"number": 4}
    assert desk.history.read("model")[0]["comment"] == "it missed scratches"
    assert desk.history.read("run#nightly") == []


def test_entries_of_the_same_moment_are_all_kept(desk: Desk) -> None:
    for _ in range(3):
        desk.history.append("rules", "ada", "changed", None, {"fail_score": 0.25})

    entries = desk.history.read("rules")

    assert len({entry["id"] for entry in entries}) == 3
    assert all("old" not in entry and entry["new"] == {"fail_score": 0.25} for entry in entries)

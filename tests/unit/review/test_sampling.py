"""Which inspections enter the queue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.inspections import record_id
from review.sampling import Cause, Sampling, Selection, lot
from tests.unit.review.desk import record

IDS = st.binary(min_size=16, max_size=16).map(bytes.hex)
SHARES = st.floats(0, 1)


def test_every_doubtful_image_enters_the_queue_and_no_unreadable_one() -> None:
    nothing, everything = Sampling(0, 0), Sampling(1, 1)

    assert nothing.select(record(verdict="review")) == Selection(Cause.VERDICT, 1.0)
    assert everything.select(record(verdict="unreadable")) is None
    assert nothing.select(record(verdict="pass")) is None
    assert everything.select(record(verdict="pass")) == Selection(Cause.SAMPLE, 1)


@pytest.mark.parametrize(("verdict", "share"), [("pass", 0.02), ("fail", 0.2)])
def test_the_share_of_a_verdict_enters_the_queue(verdict: str, share: float) -> None:
    sampling = Sampling(pass_share=0.02, fail_share=0.2)
    ids = [record_id(f"s3://images/incoming/line-1/top/{number}.jpg", "v1") for number in range(20_000)]

    drawn = sum(sampling.select(record(verdict=verdict, id=identity)) is not None for identity in ids)

    assert drawn == pytest.approx(share * len(ids), rel=0.1)


@given(identity=IDS, shares=st.tuples(SHARES, SHARES))
def test_who_is_drawn_at_a_small_share_is_drawn_at_every_larger_one(
    identity: str, shares: tuple[float, float]
) -> None:
    small, large = sorted(shares)
    inspected = record(verdict="pass", id=identity)

    drawn = [Sampling(share, 0).select(inspected) is not None for share in (small, large, small)]

    assert drawn[0] == drawn[2] <= drawn[1]
    assert 0 <= lot(identity) < 1

"""The review queue: what waits, who works on what, and what people decide."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from typing import Annotated, cast

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from api import cursors
from api.access import CurrentCaller, Group, allow
from api.reviews import (
    LinkedReview,
    Outcome,
    ReviewedInspection,
    decisions,
    linked,
    queue,
    refusals,
    with_inspection,
)
from review.decision import LONGEST_COMMENT, LONGEST_LABEL, MOST_OBJECTS, Choice, Decision, LabelledObject
from review.lists import MOST_COUNTED, Item

router = APIGatewayHttpRouter()

_Identity = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
_Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
_Line = Annotated[str, Field(min_length=1, max_length=1024)]
_SEPARATOR = "#"


class State(StrEnum):
    """Which reviews a list holds."""

    OPEN = "open"
    DECIDED = "decided"
    DISAGREEMENT = "disagreement"


class ReviewPage(TypedDict):
    """Reviews. count: how many are open; `count_is_least` if there may be more than counted."""

    items: list[LinkedReview]
    next: str | None
    count: int
    count_is_least: bool


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NextReview(_Body):
    """Which image to claim. skip: ids that the caller does not want now."""

    line: _Line | None = None
    skip: list[_Id] = Field([], max_length=200)


class ObjectBody(_Body):
    """A defect. box: x1, y1, x2, y2 in pixels of the upright picture."""

    label: str = Field(min_length=1, max_length=LONGEST_LABEL)
    box: tuple[float, float, float, float]


class DecisionBody(_Body):
    """A decision. version: of the review that it is about. objects: the defects, only with `fail`."""

    version: int = Field(ge=1)
    verdict: Choice
    objects: list[ObjectBody] = Field([], max_length=MOST_OBJECTS)
    comment: str | None = Field(None, max_length=LONGEST_COMMENT)

    def decision(self) -> Decision:
        objects = tuple(LabelledObject(item.label, item.box) for item in self.objects)
        return Decision(self.verdict, objects, self.comment or "")


@router.get("/reviews", summary="List reviews")
@allow(Group.VIEWER)
def show_all(
    caller: CurrentCaller,
    line: Annotated[str | None, Query(min_length=1, max_length=1024)] = None,
    state: Annotated[State, Query()] = State.OPEN,
    limit: Annotated[int, Query(ge=1, le=100)] = 25,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> ReviewPage:
    """Return open reviews, the most useful first; or decided ones, the last decided first."""
    scope = {"list": "reviews", "line": line, "state": state.value}
    found = list(islice(_found(state, line, cursors.decode(cursor, scope)), limit + 1))
    items, more = found[:limit], len(found) > limit
    count = queue().count_open(line)
    return {
        "items": linked(items, caller.name),
        "next": cursors.encode(_position(state, items[-1]), scope) if more else None,
        "count": count,
        "count_is_least": count >= MOST_COUNTED,
    }


@router.post("/reviews/next", summary="Claim the most useful open review")
@allow(Group.REVIEWER)
def claim_next(wanted: NextReview, caller: CurrentCaller) -> ReviewedInspection:
    """Claim for five minutes what nobody else has claimed. 404 `queue_empty` if there is nothing."""
    with refusals():
        item = queue().next(caller.name, wanted.line, frozenset(wanted.skip))
    return with_inspection(item, caller.name)


@router.get("/reviews/<identity>", summary="Show a review")
@allow(Group.VIEWER)
def show(identity: _Identity, caller: CurrentCaller) -> ReviewedInspection:
    """Return a review with its inspection."""
    with refusals():
        return with_inspection(queue().get(identity), caller.name)


@router.post("/reviews/<identity>/claim", summary="Claim a review, or renew a claim")
@allow(Group.REVIEWER)
def claim(identity: _Identity, caller: CurrentCaller) -> ReviewedInspection:
    """Claim an open or decided review for five minutes. 409 `already_claimed` says who has it, and until when."""
    with refusals():
        item = queue().claim(identity, caller.name)
    return with_inspection(item, caller.name)


@router.delete("/reviews/<identity>/claim", summary="Give up a claim", status_code=204)
@allow(Group.REVIEWER)
def release(identity: _Identity, caller: CurrentCaller) -> Response[None]:
    """Give up one's own claim. Nothing happens if there is none."""
    with refusals():
        queue().release(identity, caller.name)
    return Response(status_code=204)


@router.post("/reviews/<identity>/decision", summary="Decide about an image")
@allow(Group.REVIEWER)
def decide(identity: _Identity, body: DecisionBody, caller: CurrentCaller) -> Outcome:
    """Write a decision, its label, and its place in the statistics. Repeating the last decision changes nothing.

    It needs a claim. Another person may decide again; if the two differ, the review is a `disagreement`.
    """
    with refusals():
        written = decisions().decide(identity, caller.name, body.decision(), body.version)
    answer = {
        **with_inspection(written.item, caller.name),
        "label": written.label,
        "no_label": written.reason,
    }
    return cast(Outcome, answer)


def _found(state: State, line: str | None, position: str | None) -> Iterator[Item]:
    match state:
        case State.OPEN:
            return queue().open_items(line, position)
        case State.DISAGREEMENT:
            return queue().disagreements(line, position)
    at, _, identity = (position or "").partition(_SEPARATOR)
    return queue().decided(line, {"decided_at": at, "id": identity} if position else None)


def _position(state: State, item: Item) -> str:
    if state is State.DECIDED:
        return f"{item['decided_at']}{_SEPARATOR}{item['id']}"
    return str(item["rank"])

"""A query of the local cloud's DynamoDB looks at few items, and answers as MiniStack does that looks at all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ministack.core.responses import AccountRegionScopedDict
from ministack.services import dynamodb

from localcloud.ministack import queries

TABLE = "table"
Query = Callable[[dict[str, Any]], dict[str, Any]]


def put(item: dict[str, str]) -> None:
    content = {name: {"N" if name == "number" else "S": value} for name, value in item.items()}
    assert dynamodb._put_item({"TableName": TABLE, "Item": content})[0] == 200


def answer(query: Callable[[Any], Any], request: dict[str, Any]) -> dict[str, Any]:
    status, _, body = query({"TableName": TABLE, **request})
    return {"status": status, **json.loads(body)}


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Query, Query]]:
    """Return MiniStack's query and that of the local cloud, on the same table."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in vars(dynamodb).copy().items():
            if callable(value):
                patch.setattr(dynamodb, name, value)
        patch.setattr(dynamodb, "_tables", AccountRegionScopedDict())
        keys = ("pk", "sk", "holder", "moment", "number")
        reply = dynamodb._create_table(
            {
                "TableName": TABLE,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": name, "AttributeType": "N" if name == "number" else "S"}
                    for name in keys
                ],
                "KeySchema": schema("pk", "sk"),
                "GlobalSecondaryIndexes": [
                    {"IndexName": index, "KeySchema": schema(*names), "Projection": {"ProjectionType": "ALL"}}
                    for index, names in {
                        "by_holder": ("holder", "moment"),
                        "by_number": ("holder", "number"),
                        "by_hash": ("holder",),
                    }.items()
                ],
            }
        )
        assert reply[0] == 200
        original = dynamodb._query
        queries.apply()
        changed = dynamodb._query
        for number in range(60):
            item = {"pk": f"p{number % 2}", "sk": f"{number * 7 % 60:02d}", "holder": f"o{number % 3}"}
            # Several items of a partition of the index have the same sort key, and some are not in the index.
            put(item | ({"moment": f"{number // 4:02d}", "number": str(number)} if number % 5 else {}))
        yield lambda request: answer(original, request), lambda request: answer(changed, request)


def schema(*names: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
    ]


def text(value: str) -> dict[str, str]:
    return {"S": value}


BOUND = st.integers(-1, 61).map(lambda number: f"{number:02d}")
FORMS = st.sampled_from(
    [
        "{hash} = :p",
        "{hash} = :p AND {range} = :a",
        "{hash} = :p AND {range} < :a",
        "{range} <= :a AND {hash} = :p",
        "{hash} = :p AND {range} > :a",
        "({hash} = :p AND {range} >= :a)",
        "{hash} = :p AND {range} BETWEEN :a AND :b",
        "({hash} = :p AND {range} BETWEEN :a AND :b)",
        "{hash} = :p and begins_with({range}, :a)",
        "({hash} = :p) AND (begins_with ({range}, :a))",
    ]
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    form=FORMS,
    index=st.sampled_from([None, "by_holder"]),
    partition=st.integers(0, 3),
    bounds=st.tuples(BOUND, BOUND),
    named=st.booleans(),
    options=st.fixed_dictionaries(
        {},
        optional={
            "Limit": st.integers(1, 12),
            "ScanIndexForward": st.booleans(),
            "Select": st.just("COUNT"),
            "filtered": st.just(True),
        },
    ),
)
def test_every_page_of_a_query_is_the_same(
    both: tuple[Query, Query],
    form: str,
    index: str | None,
    partition: int,
    bounds: tuple[str, str],
    named: bool,
    options: dict[str, Any],
) -> None:
    original, changed = both
    keys = ("holder", "moment") if index else ("pk", "sk")
    names = {"hash": "#h", "range": "#r"} if named else dict(zip(("hash", "range"), keys, strict=True))
    condition = form.format(**names)
    low, high = sorted(bounds) if "BETWEEN" in form else bounds
    used = {":p": f"{'o' if index else 'p'}{partition}", ":a": low, ":b": high}
    request: dict[str, Any] = {
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": {name: text(value) for name, value in used.items() if name in condition},
        **{name: value for name, value in options.items() if name != "filtered"},
    }
    if index:
        request["IndexName"] = index
    if named:
        request["ExpressionAttributeNames"] = {"#h": keys[0]} | ({"#r": keys[1]} if "#r" in condition else {})
    if "filtered" in options:
        request["FilterExpression"] = "contains(sk, :f)"
        request["ExpressionAttributeValues"][":f"] = text("1")
    for _ in range(70):
        expected = original(dict(request))
        assert changed(dict(request)) == expected
        if "LastEvaluatedKey" not in expected:
            break
        request["ExclusiveStartKey"] = expected["LastEvaluatedKey"]
    else:
        pytest.fail("the pages have no end")


@pytest.mark.parametrize(
    "request_",
    [
        {"KeyConditionExpression": "holder = :p AND #n > :n", "IndexName": "by_number"},
        {"KeyConditionExpression": "holder = :p", "IndexName": "by_hash"},
        {"KeyConditionExpression": "holder = :p AND moment = :p AND moment = :p", "IndexName": "by_holder"},
        {"KeyConditionExpression": "pk = :p AND owner = :p"},
        {"KeyConditionExpression": "holder = :missing", "IndexName": "by_holder"},
        {"KeyConditionExpression": "holder < :p", "IndexName": "by_holder"},
        {"KeyConditionExpression": "moment = :p", "IndexName": "by_holder"},
        {"KeyConditionExpression": "holder = :p OR moment = :p", "IndexName": "by_holder"},
        {"KeyConditionExpression": "holder = :p AND :p < moment", "IndexName": "by_holder"},
        {"KeyConditionExpression": "holder = :p", "IndexName": "no_such_index"},
        {"KeyConditionExpression": "", "IndexName": "by_holder"},
        {"KeyConditionExpression": "pk = :p", "Limit": 0},
        {"KeyConditionExpression": "pk = :p", "Limit": "x"},
        {"KeyConditionExpression": "pk = :p", "ExclusiveStartKey": {"pk": text("p1")}},
        {"KeyConditionExpression": "pk = :p", "ExclusiveStartKey": 3},
        {"KeyConditions": {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [text("p1")]}}},
        {"KeyConditionExpression": "pk = :p", "TableName": "missing"},
        {"KeyConditionExpression": "pk = :p", "TableName": 3},
    ],
    ids=str,
)
def test_an_unusual_or_wrong_query_gets_the_same_answer(
    both: tuple[Query, Query], request_: dict[str, Any]
) -> None:
    condition = request_.get("KeyConditionExpression", "")
    values = {":p": text("p1" if "pk" in condition else "o1"), ":n": {"N": "3"}}
    used = {name: value for name, value in values.items() if name in condition}
    request = request_ | ({"ExpressionAttributeValues": used} if used else {})
    if "#n" in condition:
        request["ExpressionAttributeNames"] = {"#n": "number"}
    results = []
    for query in both:
        try:
            results.append(query(dict(request)))
        except Exception as error:  # noqa: BLE001 - whatever MiniStack raises
            results.append({"raised": str(error)})
    assert results[0] == results[1]


def test_a_page_of_a_large_partition_looks_at_no_more_items_than_it_returns(
    both: tuple[Query, Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated = []
    evaluate = dynamodb._evaluate_condition

    def counting(*arguments: Any, **options: Any) -> Any:
        evaluated.append(arguments)
        return evaluate(*arguments, **options)

    monkeypatch.setattr(dynamodb, "_evaluate_condition", counting)
    values = {":p": text("p1"), ":a": text("00")}
    request = {
        "KeyConditionExpression": "pk = :p AND sk > :a",
        "ExpressionAttributeValues": values,
        "Limit": 5,
    }
    assert both[1](request)["Count"] == 5
    assert len(evaluated) <= 8

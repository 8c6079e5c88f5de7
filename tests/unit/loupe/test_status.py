"""What `loupe status` counts, in moto's account."""

from dataclasses import replace
from typing import Any

from loupe.stack import status
from loupe.stack.target import Target
from tests.unit.loupe.account import answering


def _nothing_runs(request: dict[str, Any]) -> Any:
    return {"executions": []}


def test_images_that_are_to_be_tried_again_later_wait_too(stack: Target):
    urls = {name: stack.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("work", "dead")}
    outputs = stack.outputs | {"QueueUrl": urls["work"], "DeadLetterQueueUrl": urls["dead"]}
    target = replace(stack, outputs=outputs)
    target.sqs.send_message(QueueUrl=urls["work"], MessageBody="now")
    target.sqs.send_message(QueueUrl=urls["work"], MessageBody="later", DelaySeconds=600)
    target.sqs.send_message(QueueUrl=urls["dead"], MessageBody="never")
    with answering(target, "stepfunctions", ListExecutions=_nothing_runs):
        state = status.read(target)
    assert (state.waiting, state.failed) == (2, 1)
    assert (state.endpoint, state.version, state.runs, state.alarms) == (None, None, [], [])

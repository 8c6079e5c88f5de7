"""What other tests take for granted of moto, which stands for AWS."""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.integration.moto_cloud import Cloud


def test_of_threads_that_put_an_item_unless_it_is_there_one_does(cloud: Cloud) -> None:
    def put(number: int) -> bool:
        item: dict[str, Any] = {"image": f"image-{number // 4}", "version_id": "v1"}
        try:
            cloud.table.put_item(Item=item, ConditionExpression="attribute_not_exists(image)")
        except cloud.table.meta.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(put, range(200)))
    finally:
        sys.setswitchinterval(usual)
    assert sum(done) == 50

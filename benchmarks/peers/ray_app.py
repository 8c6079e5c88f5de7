"""The model behind Ray Serve: one replica a core."""

from __future__ import annotations

import signal
from typing import Any

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

from benchmarks.peers.common import CORES, PORT, answer, load
from contract.images import UnreadableError


@serve.deployment(
    num_replicas=CORES, max_ongoing_requests=8, ray_actor_options={"num_cpus": 0.5}
)  # the proxy and the controller need a place, too
class Detector:
    """Bytes in, the endpoint's document out."""

    def __init__(self) -> None:
        self.model = load()

    async def __call__(self, request: Request) -> Any:
        try:
            return answer(self.model, await request.body())
        except UnreadableError as error:
            return JSONResponse({"error": error.code}, 422)


if __name__ == "__main__":
    ray.init(include_dashboard=False, configure_logging=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Detector.bind(), route_prefix="/invocations")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    ray.shutdown()

"""The model behind Ray Serve, with one replica for each core."""

from __future__ import annotations

import signal
from typing import Any

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

from benchmarks.peers.common import CORES, PORT, answer, load
from contract.images import UnreadableError


# Half a core, because the proxy and the controller need a part of the cores, too.
@serve.deployment(num_replicas=CORES, max_ongoing_requests=8, ray_actor_options={"num_cpus": 0.5})
class Detector:
    """Receives an image's bytes, and returns the endpoint's response."""

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

"""The model behind MLServer, with one worker process for each core: `python -m benchmarks.peers.mlserver_app`.

It receives raw bytes through MLServer's custom handlers, because MLServer's own protocol would wrap each image in
base64 and JSON. Its requirements keep uvloop below 0.22, with which MLServer 1.7.1 does not start.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Body, HTTPException
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.handlers import custom_handler

from benchmarks.peers.common import CORES, PORT, answer, load
from contract.images import UnreadableError

Raw = Annotated[bytes, Body(media_type="image/jpeg")]


class Detector(MLModel):  # type: ignore[misc]
    """Receives an image's bytes, and returns the endpoint's response."""

    async def load(self) -> bool:
        self.model = load()
        return True

    async def invocations(self, data: bytes) -> dict[str, Any]:
        try:
            return answer(self.model, data)
        except UnreadableError as error:
            raise HTTPException(422, str(error)) from error


# FastAPI reads annotations at run time, and those of this module are strings.
Detector.invocations.__annotations__.update({"data": Raw, "return": dict})
custom_handler(rest_path="/invocations")(Detector.invocations)


async def main() -> None:
    """Serve until the process is stopped."""
    settings = Settings(
        host="127.0.0.1",
        http_port=PORT,
        grpc_port=PORT + 1,
        metrics_endpoint=None,
        parallel_workers=CORES,
        debug=False,
    )
    model = ModelSettings(name="detector", implementation="benchmarks.peers.mlserver_app.Detector")
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(main())

"""The model behind LitServe, with one worker process for each core, as its documentation advises for CPUs."""

from __future__ import annotations

from typing import Annotated, Any

import litserve
from fastapi import Body, HTTPException

from benchmarks.peers.common import CORES, PORT, answer, load
from contract.images import UnreadableError

Raw = Annotated[bytes, Body(media_type="image/jpeg")]


class Detector(litserve.LitAPI):  # type: ignore[misc]
    """Receives an image's bytes, and returns the endpoint's response."""

    def setup(self, device: str) -> None:
        self.model = load()

    def decode_request(self, request: Raw) -> bytes:
        return request

    def predict(self, data: bytes) -> dict[str, Any]:
        try:
            return answer(self.model, data)
        except UnreadableError as error:
            raise HTTPException(422, str(error)) from error

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


# FastAPI reads annotations at run time, and those of this module are strings.
Detector.decode_request.__annotations__["request"] = Raw
Detector.encode_response.__annotations__.pop("return")

if __name__ == "__main__":
    api = Detector(api_path="/invocations")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=CORES)
    server.run(host="127.0.0.1", port=PORT, generate_client_file=False, log_level="warning")

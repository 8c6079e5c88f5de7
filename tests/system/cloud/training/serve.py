"""A model server that ignores the image; model.json says how it misbehaves."""

import json
import os
import pathlib
import signal
import time

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MODEL = json.loads((pathlib.Path(os.environ["LOUPE_ML_ROOT"]) / "model" / "model.json").read_text())


def ping(request):
    return Response()


async def invocations(request):
    body = await request.body()
    if body == b"refuse":
        return JSONResponse({"error": {"code": "bad", "message": "no image"}}, status_code=415)
    if body == b"die":
        os.kill(os.getpid(), signal.SIGKILL)
    if body == b"environment":
        return JSONResponse(dict(os.environ))
    time.sleep(MODEL.get("seconds", 0))
    if "status" in MODEL:
        return JSONResponse({"error": "as the model says"}, status_code=MODEL["status"])
    return JSONResponse({"model": MODEL["name"], "size": len(body), "pid": os.getpid()})


time.sleep(MODEL.get("startup_seconds", 0))
if MODEL.get("broken"):
    raise SystemExit(MODEL["broken"])
app = Starlette(routes=[Route("/ping", ping), Route("/invocations", invocations, methods=["POST"])])
uvicorn.run(
    app,
    host=os.environ["LOUPE_BIND_HOST"],
    port=int(os.environ["SAGEMAKER_BIND_TO_PORT"]),
    log_level="warning",
)

import os

# Before a benchmark imports ONNX Runtime itself (training/__init__.py).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

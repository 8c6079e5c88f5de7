"""The programs of the container: train, evaluate and serve a defect detector."""

import os

# From version 1.29 on, ONNX Runtime's wheels for Linux send names and hashes of models to Microsoft unless this is set
# before their first import. https://github.com/microsoft/onnxruntime/pull/27379
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

"""Run compiled networks: sessions, image preprocessing, quantisation, and a report on the installation."""

import os

# ONNX Runtime 1.32 sends telemetry over https unless this variable is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

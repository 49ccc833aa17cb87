"""The networks on the CPU without torch: graphs for OpenVINO, built from a checkpoint's weights."""

import sys

# Importing OpenVINO would tell a server of its maker so: nothing leaves this machine. Without this
# package OpenVINO does without.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

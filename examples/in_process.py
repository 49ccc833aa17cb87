"""Recognise a clip without any socket: python examples/in_process.py [CLIP]"""

import sys

import stream

clip = sys.argv[1] if len(sys.argv) > 1 else "stream/demo.mp4"
for estimate in stream.estimates(stream.SourceConfig(source=clip, fast=True)):
    print(estimate.prediction.top, estimate.prediction.share)

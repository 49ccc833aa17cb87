"""Recognise a clip without any socket: python examples/in_process.py [CLIP]"""

import sys

import stream

clip = sys.argv[1] if len(sys.argv) > 1 else "stream/demo.mp4"
for estimate in stream.estimates(stream.SourceConfig(source=clip, fast=True)):
    found = estimate.prediction
    shares = ", ".join(f"{modality} {share:.0%}" for modality, share in found.share.items())
    print(f"{found.top} {found.confidence:.2f} ({shares})")

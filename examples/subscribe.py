"""Print every estimate of a running recognizer: python examples/subscribe.py [ADDRESS]"""

import sys

from stream.client import ADDRESS, subscribe

address = sys.argv[1] if len(sys.argv) > 1 else ADDRESS
for message in subscribe("er.v1.affect", address=address):
    causes = {modality: gaps[-1] for modality, gaps in message.gaps.items()}
    print(message.top, round(message.confidence, 2), message.abstained, causes)

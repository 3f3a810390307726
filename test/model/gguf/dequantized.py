#!/usr/bin/env python3
"""Writes dequantized.json: random blocks of each type of GGUF, and what Python's gguf makes of them.

Needs numpy and gguf:  dequantized.py > dequantized.json
"""

import base64
import json

import numpy as np
from gguf import GGMLQuantizationType, dequantize
from gguf.constants import GGML_QUANT_SIZES

# of each type, where in a block the float16 scales and minima are; the rest is random bytes
HALVES = {
    'Q4_0': [0], 'Q4_1': [0, 2], 'Q5_0': [0], 'Q5_1': [0, 2], 'Q8_0': [0], 'IQ4_NL': [0], 'IQ4_XS': [0],
    'Q2_K': [80, 82], 'Q3_K': [108], 'Q4_K': [0, 2], 'Q5_K': [0, 2], 'Q6_K': [208],
}
# a subnormal scale among them
SCALES = [0.0123, -3.7e-6, 1.9]


def text(array):
    return base64.b64encode(array.tobytes()).decode()


random = np.random.default_rng(1)
golden = {}
for name, halves in HALVES.items():
    kind = GGMLQuantizationType[name]
    _, size = GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (2 if size > 34 else 3, size), dtype=np.uint8)
    for i, block in enumerate(blocks):
        for at in halves:
            block[at:at + 2] = np.array([SCALES[i] * random.uniform(0.5, 1)], np.float16).view(np.uint8)
    golden[name] = {'blocks': text(blocks), 'values': text(dequantize(blocks, kind).astype('<f4'))}
print(json.dumps(golden, indent=2))

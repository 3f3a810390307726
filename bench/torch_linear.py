"""Times PyTorch's int8 products with one number of threads; prints JSON: samples in microseconds by name.

Usage: torch_linear.py THREADS K N ROTATION_BYTES
"""

import json
import sys
import time
import warnings

import torch

warnings.filterwarnings("ignore")

SECONDS = 0.5
LEAST = 20


def sample(call):
    """Durations of calls, after a warm-up."""
    for _ in range(3):
        call()
    micros = []
    end = time.perf_counter() + SECONDS
    while len(micros) < LEAST or time.perf_counter() < end:
        start = time.perf_counter_ns()
        call()
        micros.append((time.perf_counter_ns() - start) / 1000)
    return micros


def in_turns(calls):
    """One call that takes the next of `calls` each time."""
    turn = 0

    def call():
        nonlocal turn
        turn = (turn + 1) % len(calls)
        return calls[turn]()

    return call


def main():
    threads, k, n, rotation = map(int, sys.argv[1:])
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    copies = max(2, rotation // (k * n))
    results = {}

    linear = torch.nn.Sequential(torch.nn.Linear(k, n, bias=False))
    quantize = torch.ao.quantization.quantize_dynamic
    layers = [quantize(linear, {torch.nn.Linear}, dtype=torch.qint8)[0] for _ in range(copies)]
    for m in (1, 32, 512):
        x = torch.randn(m, k)
        rotated = in_turns([lambda layer=layer: layer(x) for layer in layers])
        results[f"torch dynamic M={m}"] = sample(rotated)
        results[f"torch dynamic M={m} cached"] = sample(lambda: layers[0](x))
    del layers

    weights = [torch.randint(-128, 128, (n, k), dtype=torch.int8).t() for _ in range(copies)]
    for m in (32, 512):
        a = torch.randint(-128, 128, (m, k), dtype=torch.int8)
        rotated = in_turns([lambda w=w: torch._int_mm(a, w) for w in weights])
        results[f"torch _int_mm M={m}"] = sample(rotated)
        results[f"torch _int_mm M={m} cached"] = sample(lambda: torch._int_mm(a, weights[0]))
    json.dump(results, sys.stdout)


main()

"""What every peer measures: the five experiments, their batches, and how they are timed."""

import argparse
import json
import statistics
import time

WORDS, LENGTH, UNITS = 5000, 500, 128
EXPERIMENTS = ("simple-rnn", "lstm", "lstm-dropout", "cnn-lstm", "next-frame")
PARAMETERS = dict(zip(EXPERIMENTS, (180_737, 242_561, 242_561, 245_665, 407_001)))
FRAMES, SIDE, FILTERS, LAYERS = 15, 40, 40, 4
DROPOUT = 0.4


def arguments(description, variants):
    """The arguments; `variants` gives those of (experiment, training) that are worth timing here,
    the plain one first."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--experiment", choices=EXPERIMENTS, default="lstm")
    parser.add_argument("--variant", help="switches joined by +")
    parser.add_argument("--inference", action="store_true", help="instead of training steps")
    parser.add_argument("--batch", type=int, help="examples in a step [128; next-frame 10]")
    parser.add_argument("--length", type=int, default=LENGTH, help="tokens of a review")
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument("--list-variants", action="store_true", help="print them as JSON and stop")
    args = parser.parse_args()
    if args.list_variants:
        modes = {"training": True, "inference": False}
        print(json.dumps({e: {m: variants(e, t) for m, t in modes.items()} for e in EXPERIMENTS}))
        raise SystemExit
    args.variant = args.variant or variants(args.experiment, not args.inference)[0]
    args.switches = set(args.variant.split("+"))
    args.batch = args.batch or (10 if args.experiment == "next-frame" else 128)
    return args


def examples(args, rng):
    """Inputs and labels as NumPy arrays: random reviews, or films of noise."""
    if args.experiment == "next-frame":
        shape = (args.batch, FRAMES, SIDE, SIDE, 1)
        films = rng.random(shape, "float32")
        return films, (rng.random(shape) < 0.05).astype("float32")
    tokens = rng.integers(0, WORDS, (args.batch, args.length)).astype("int32")
    return tokens, rng.integers(0, 2, (args.batch, 1)).astype("float32")


def measure(peer, device, args, step):
    """Prints the median of the steps behind a warm-up as one line of JSON."""
    seconds, began = [], time.perf_counter()
    for _ in range(2):
        step()
    warm_up = time.perf_counter() - began
    began = time.perf_counter()
    while len(seconds) < 5 or (len(seconds) < 50 and time.perf_counter() - began < 1):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    result = {
        "peer": peer,
        "variant": args.variant,
        "device": device,
        "experiment": args.experiment,
        "training": not args.inference,
        "batch": args.batch,
        "seconds": statistics.median(seconds),
        "warm_up_seconds": warm_up,
    }
    print(json.dumps(result))

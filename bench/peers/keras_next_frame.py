"""Time training steps of the next-frame model in Keras on TensorFlow.

Usage: python keras_next_frame.py [--steps 5] [--batch-size 10] [--threads 2] [--xla]

Prints seconds per step, the median behind two warm-up steps, to compare with
`cargo run --release --example next_frame_step` on the same machine.
"""

import argparse
import os
import statistics
import time

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="2")

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--batch-size", type=int, default=10)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--xla", action="store_true")
args = parser.parse_args()

import keras
import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(args.threads)
tf.config.threading.set_inter_op_parallelism_threads(1)

layers = []
for _ in range(4):
    layers += [
        keras.layers.ConvLSTM2D(40, 3, padding="same", return_sequences=True),
        keras.layers.BatchNormalization(),
    ]
model = keras.Sequential(
    [
        keras.Input((15, 40, 40, 1)),
        *layers,
        keras.layers.Conv3D(1, 3, padding="same", activation="sigmoid"),
    ]
)
model.compile("adadelta", "binary_crossentropy", jit_compile=args.xla)
rng = np.random.default_rng(1)
shape = (args.batch_size, 15, 40, 40, 1)
x = rng.random(shape, np.float32)
y = rng.integers(0, 2, shape).astype(np.float32)
seconds = []
for step in range(2 + args.steps):
    started = time.perf_counter()
    model.train_on_batch(x, y)
    if step >= 2:
        seconds.append(time.perf_counter() - started)
print(f"keras {keras.__version__}: {statistics.median(seconds):.2f} s per step of {args.batch_size}")

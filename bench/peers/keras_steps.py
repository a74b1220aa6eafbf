"""Keras on TensorFlow: training steps or inference of the five experiments, timed.

Variants are TensorFlow's graph as it is (cuDNN on a GPU), compiled by XLA, and on a GPU both with
TF32 products and with Keras's policy mixed_float16.
"""

import os

os.environ.update(KERAS_BACKEND="tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from common import DROPOUT, FILTERS, FRAMES, LAYERS, PARAMETERS, SIDE, UNITS, WORDS
from common import arguments, examples, measure


def variants(experiment, training):
    precisions = ["", "tf32+", "f16+"] if tf.config.list_physical_devices("GPU") else [""]
    return [precision + how for precision in precisions for how in ("graph", "xla")]


def build(experiment, length):
    layers = keras.layers
    if experiment == "next-frame":
        stack = [keras.Input((FRAMES, SIDE, SIDE, 1))]
        for _ in range(LAYERS):
            stack += [
                layers.ConvLSTM2D(FILTERS, 3, padding="same", return_sequences=True),
                layers.BatchNormalization(),
            ]
        stack += [layers.Conv3D(1, 3, padding="same", activation="sigmoid", dtype="float32")]
        return keras.Sequential(stack)
    between = {
        "simple-rnn": [layers.SimpleRNN(UNITS)],
        "lstm": [layers.LSTM(UNITS)],
        "lstm-dropout": [layers.LSTM(UNITS, dropout=DROPOUT, recurrent_dropout=DROPOUT)],
        "cnn-lstm": [
            layers.Conv1D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling1D(2),
            layers.LSTM(UNITS),
        ],
    }[experiment]
    start = [keras.Input((length,), dtype="int32"), layers.Embedding(WORDS, 32)]
    end = layers.Dense(1, activation="sigmoid", dtype="float32")
    return keras.Sequential([*start, *between, end])


def main():
    args = arguments(__doc__.splitlines()[0], variants)
    if args.threads:
        tf.config.threading.set_intra_op_parallelism_threads(args.threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_tensor_float_32_execution("tf32" in args.switches)
    if "f16" in args.switches:
        keras.mixed_precision.set_global_policy("mixed_float16")
    keras.utils.set_random_seed(1)
    model = build(args.experiment, args.length)
    assert model.count_params() == PARAMETERS[args.experiment], model.count_params()
    optimizer = "adadelta" if args.experiment == "next-frame" else "adam"
    model.compile(optimizer, "binary_crossentropy", jit_compile="xla" in args.switches)
    x, y = (tf.constant(a) for a in examples(args, np.random.default_rng(1)))
    predict = lambda: model.predict_on_batch(x)
    train = lambda: model.train_on_batch(x, y)
    gpus = tf.config.list_physical_devices("GPU")
    device = gpus[0].name if gpus else f"CPU, {len(os.sched_getaffinity(0))} threads"
    peer = f"Keras {keras.__version__}, TensorFlow {tf.__version__}"
    measure(peer, device, args, predict if args.inference else train)


if __name__ == "__main__":
    main()

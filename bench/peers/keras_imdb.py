"""Keras on TensorFlow CPU: the IMDB review classifier, timed.

Embedding(5000, 32) -> one of the four recurrent parts -> Dense(1, sigmoid), on
reviews padded to 500 words. --data takes the imdb.npz that Keras distributes.
"""

import argparse
import json
import os
import statistics
import time

os.environ.update(KERAS_BACKEND="tensorflow", CUDA_VISIBLE_DEVICES="-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

WORDS, LENGTH = 5000, 500
START, UNKNOWN, INDEX_FROM = 1, 2, 3
TEST_REVIEWS = 10_000
PARAMETERS = {
    "simple-rnn": 180_737,
    "lstm": 242_561,
    "lstm-dropout": 242_561,
    "cnn-lstm": 245_665,
}


def encode(reviews):
    """Keras's ids (start mark, offset, rare words replaced), padded in front."""
    out = np.zeros((len(reviews), LENGTH), np.int32)
    for row, review in zip(out, reviews):
        ids = np.array([START, *(word + INDEX_FROM for word in review)], np.int32)
        ids = np.where(ids < WORDS, ids, UNKNOWN)[-LENGTH:]
        row[LENGTH - len(ids) :] = ids
    return out


def load(path):
    """Both parts in the order of keras.datasets.imdb.load_data(seed=113)."""
    rng = np.random.RandomState(113)
    parts = []
    with np.load(path, allow_pickle=True) as file:
        for part in ("train", "test"):
            x, y = file[f"x_{part}"], file[f"y_{part}"]
            order = np.arange(len(x))
            rng.shuffle(order)
            parts.append((x[order], y[order].astype(np.float32)[:, None]))
    (x_train, y_train), (x_test, y_test) = parts
    return encode(x_train), y_train, encode(x_test[:TEST_REVIEWS]), y_test[:TEST_REVIEWS]


def build(kind):
    layers = keras.layers
    between = {
        "simple-rnn": [layers.SimpleRNN(128)],
        "lstm": [layers.LSTM(128)],
        "lstm-dropout": [layers.LSTM(128, dropout=0.4, recurrent_dropout=0.4)],
        "cnn-lstm": [
            layers.Conv1D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling1D(2),
            layers.LSTM(128),
        ],
    }[kind]
    model = keras.Sequential(
        [layers.Embedding(WORDS, 32), *between, layers.Dense(1, activation="sigmoid")]
    )
    model.build((None, LENGTH))
    assert model.count_params() == PARAMETERS[kind], model.count_params()
    model.compile(
        keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(), metrics=["accuracy"]
    )
    return model


class Timer(keras.callbacks.Callback):
    """Seconds of every training step and of every epoch's training part."""

    def __init__(self):
        super().__init__()
        self.steps, self.epochs = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.first_step = len(self.steps)

    def on_train_batch_begin(self, batch, logs=None):
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(time.perf_counter() - self.began)

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(sum(self.steps[self.first_step :]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="imdb.npz", help="path of imdb.npz")
    parser.add_argument("--model", choices=PARAMETERS, default="lstm")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0, help="split, weights and batch order")
    parser.add_argument("--limit-steps", type=int, help="only this many steps, no evaluation")
    parser.add_argument("--json", help="also write the results to this file")
    args = parser.parse_args()

    keras.utils.set_random_seed(args.seed)
    x, y, x_test, y_test = load(args.data)
    order = np.random.default_rng(args.seed).permutation(len(x))
    cut = len(x) * 7 // 10
    train, held_out = order[:cut], order[cut:]
    validation, epochs = (x[held_out], y[held_out]), args.epochs
    if args.limit_steps:
        train = train[: args.limit_steps * args.batch]
        validation, epochs = None, 1

    model, timer = build(args.model), Timer()
    began = time.perf_counter()
    history = model.fit(
        x[train],
        y[train],
        batch_size=args.batch,
        epochs=epochs,
        validation_data=validation,
        callbacks=[timer],
        verbose=0,
    ).history
    wall = time.perf_counter() - began
    test_accuracy = None
    if not args.limit_steps:
        test_accuracy = model.evaluate(x_test, y_test, batch_size=args.batch, verbose=0)[1]

    result = {
        "model": args.model,
        "parameters": model.count_params(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "cpus": len(os.sched_getaffinity(0)),
        "jit_compile": bool(model.jit_compile),
        "batch": args.batch,
        "train_reviews": len(train),
        "steps": len(timer.steps),
        "epoch_seconds": timer.epochs,
        # The first step compiles; it counts in the epoch but not here.
        "first_step_seconds": timer.steps[0],
        "median_step_seconds": statistics.median(timer.steps[1:] or timer.steps),
        "wall_seconds": wall,  # training with its validation
        "loss": history["loss"],
        "train_accuracy": history["accuracy"],
        "validation_accuracy": history.get("val_accuracy"),
        "test_accuracy": test_accuracy,
    }
    for key, value in result.items():
        print(f"{key}: {value}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(result, file, indent=2)


if __name__ == "__main__":
    main()

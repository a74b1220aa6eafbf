"""Writes the models in files/onnx that Keras exports by tf2onnx, each beside NAME.npz: what it is fed,
and what onnxruntime makes of it. Needs keras, tensorflow, tf2onnx, onnxruntime.
"""

import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import onnxruntime
from keras import layers as L

FOLDER = pathlib.Path(__file__).parent / "files" / "onnx"
RANDOM = np.random.default_rng(1)


def export(name, layers, x):
    model = keras.Sequential(layers)
    model(x)
    path = FOLDER / f"keras_{name}.onnx"
    model.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    made = session.run(None, {session.get_inputs()[0].name: x})
    np.savez(path.with_suffix(".npz"), input_0=x, **{f"output_{i}": y for i, y in enumerate(made)})


tokens = RANDOM.integers(0, 9, (2, 6)).astype("int32")
words = [keras.Input((6,), dtype="int32"), L.Embedding(9, 4), L.Bidirectional(L.LSTM(3))]
export("words", [*words, L.Dense(2, "softmax")], tokens)
windows = [keras.Input((9, 3)), L.Conv1D(4, 3, padding="causal", activation="relu")]
windows += [L.BatchNormalization(), L.MaxPooling1D(2), L.LSTM(3, return_sequences=True)]
steps = RANDOM.normal(size=(2, 9, 3)).astype("float32")
export("windows", [*windows, L.Dense(4, "silu"), L.LSTM(3), L.Dense(1, "sigmoid")], steps)

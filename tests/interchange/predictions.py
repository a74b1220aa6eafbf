"""Writes the models in files/predictions, as Keras stores them, each beside NAME.npz: what it is fed,
and what Keras makes of it. Tests read them where there is no Python.
"""

import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import h5py
import keras
import numpy as np
from keras import layers as L

FOLDER = pathlib.Path(__file__).parent / "files" / "predictions"
RANDOM = np.random.default_rng(1)


def fill(model):
    for variable in model.weights:
        value = RANDOM.normal(scale=0.5, size=variable.shape)
        variable.assign(np.abs(value) + 0.5 if "variance" in variable.path else value)


def write(name, model, inputs):
    outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    arrays = {f"input_{i}": x for i, x in enumerate(inputs)}
    arrays.update({f"output_{i}": y for i, y in enumerate(outputs)})
    np.savez(FOLDER / f"{name}.npz", **arrays)


def words():
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            L.Embedding(7, 3, mask_zero=True),
            L.Bidirectional(L.LSTM(2)),
            L.Dense(1, "sigmoid"),
        ]
    )
    fill(model)
    model.compile("adam", "binary_crossentropy")
    model.save(FOLDER / "words.keras")
    tokens = RANDOM.integers(1, 7, (3, 5)).astype("int32")
    tokens[0, :2] = tokens[1, 3:] = 0
    write("words", model, [tokens])


def branches():
    a, b = keras.Input((4, 2), name="a"), keras.Input((4, 2), name="b")
    sequence, state = L.GRU(2, return_sequences=True, return_state=True)(a)
    other = L.SimpleRNN(2)(b, initial_state=state)
    pooled = L.GlobalMaxPooling1D()(L.Conv1D(2, 2, padding="causal")(sequence))
    model = keras.Model([a, b], [L.Dense(2, "softmax")(L.Concatenate()([pooled, other])), state])
    fill(model)
    model.save(FOLDER / "branches.keras")
    write("branches", model, [RANDOM.normal(size=(2, 4, 2)).astype("float32") for _ in "ab"])


def films():
    model = keras.Sequential(
        [
            keras.Input((2, 4, 4, 1)),
            L.ConvLSTM2D(2, 3, padding="same", return_sequences=True),
            L.BatchNormalization(),
            L.Conv3D(1, 2, activation="sigmoid"),
        ]
    )
    fill(model)
    model.save(FOLDER / "films.h5")
    write("films", model, [RANDOM.normal(size=(2, 2, 4, 4, 1)).astype("float32")])


def keras_2():
    """A model as keras/engine/saving.py of Keras 2.2.4 stores it, whose own release runs no longer.
    Its gates are hard sigmoids with the slope that they had then."""
    gate = lambda x: keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)
    layers = [L.LSTM(2, recurrent_activation=gate), L.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((3, 2)), *layers])
    fill(model)
    lstm = {
        "name": "lstm_1", "trainable": True, "batch_input_shape": [None, 3, 2], "dtype": "float32",
        "return_sequences": False, "return_state": False, "go_backwards": False,
        "stateful": False, "unroll": False, "units": 2, "activation": "tanh",
        "recurrent_activation": "hard_sigmoid", "use_bias": True, "unit_forget_bias": True,
        "dropout": 0.0, "recurrent_dropout": 0.0, "implementation": 1,
    }
    dense = {
        "name": "dense_1", "trainable": True, "units": 1, "activation": "sigmoid",
        "use_bias": True,
    }
    described = [{"class_name": "LSTM", "config": lstm}, {"class_name": "Dense", "config": dense}]
    config = {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": described}}
    with h5py.File(FOLDER / "keras2.h5", "w") as file:
        file.attrs["keras_version"] = b"2.2.4"
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = json.dumps(config).encode("utf8")
        weights = file.create_group("model_weights")
        weights.attrs["keras_version"] = b"2.2.4"
        weights.attrs["layer_names"] = [b"lstm_1", b"dense_1"]
        for name, layer in zip(["lstm_1", "dense_1"], layers):
            group = weights.create_group(name)
            names = [f"{name}/{variable.name}:0" for variable in layer.weights]
            group.attrs["weight_names"] = [name.encode("utf8") for name in names]
            for path, variable in zip(names, layer.weights):
                group.create_dataset(path, data=variable.numpy())
    write("keras2", model, [RANDOM.normal(size=(2, 3, 2)).astype("float32")])


def keras_2_apart():
    """The same as a description and weights, as Keras 2 writes those."""
    with h5py.File(FOLDER / "keras2.h5") as whole, h5py.File(FOLDER / "keras2.weights.h5", "w") as file:
        described = json.loads(whole.attrs["model_config"])
        described |= {"keras_version": "2.2.4", "backend": "tensorflow"}
        (FOLDER / "keras2.json").write_text(json.dumps(described))
        weights = whole["model_weights"]
        file.attrs["layer_names"] = weights.attrs["layer_names"]
        for name in weights:
            weights.copy(name, file)


def frames():
    """A model that is applied to each step, whole, and as a description and weights."""
    encoder = keras.Sequential([L.Conv2D(2, 2), L.BatchNormalization(), L.Flatten(), L.Dense(2)])
    every = L.TimeDistributed(encoder)
    model = keras.Sequential([keras.Input((3, 3, 3, 1)), every, L.GRU(2), L.Dense(1)])
    fill(model)
    model.save(FOLDER / "frames.h5")
    model.save_weights(FOLDER / "frames.weights.h5")
    (FOLDER / "frames.json").write_text(model.to_json())
    write("frames", model, [RANDOM.normal(size=(2, 3, 3, 3, 1)).astype("float32")])


def sentences():
    """Tokens of two axes, with a mask within each step."""
    sentence = [keras.Input((4,), dtype="int32"), L.Embedding(7, 2, mask_zero=True), L.LSTM(2)]
    every = L.TimeDistributed(keras.Sequential(sentence))
    model = keras.Sequential([keras.Input((3, 4), dtype="int32"), every, L.GRU(2)])
    fill(model)
    model.save(FOLDER / "sentences.keras")
    tokens = RANDOM.integers(1, 7, (2, 3, 4)).astype("int32")
    tokens[0, 1, 2:] = tokens[1, 0] = 0
    write("sentences", model, [tokens])


FOLDER.mkdir(parents=True, exist_ok=True)
for model in [words, branches, films, keras_2, keras_2_apart, frames, sentences]:
    model()

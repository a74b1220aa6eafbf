"""Writes the small files that rnn-formats is tested on: what Keras and h5py store, in their forms.

Every variable holds i/8 at element i, plus its number in the file, so that the tests know it.
"""

import os
import pathlib

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
import keras
import ml_dtypes
import numpy as np

HERE = pathlib.Path(__file__).parent / "files"


def fill(variables):
    for number, variable in enumerate(variables):
        steps = np.arange(np.prod(variable.shape)).reshape(variable.shape) / 8
        variable.assign(number + steps)


def keras_3():
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(4, 2, name="words"),
            keras.layers.LSTM(1, name="scan"),
            keras.layers.Dense(1, name="verdict"),
        ],
        name="tiny",
    )
    loss = keras.losses.MeanSquaredError()
    model.compile(keras.optimizers.SGD(0.5, momentum=0.5), loss)
    model.optimizer.build(model.trainable_variables)
    fill(model.weights)
    fill([v for v in model.optimizer.variables[2:]])
    model.optimizer.iterations.assign(7)
    model.save(HERE / "keras3.keras")
    model.save(HERE / "keras3.h5")
    model.save_weights(HERE / "keras3.weights.h5")


def keras_2():
    """The layout of keras/engine/saving.py of Keras 2.2.4, whose own release runs no longer."""
    config = b'{"class_name": "Sequential", "config": {"name": "sequential_1", "layers": []}}'
    layers = {
        "embedding_1": [("embedding_1/embeddings:0", (4, 2))],
        "dropout_1": [],
        "lstm_1": [
            ("lstm_1/kernel:0", (2, 4)),
            ("lstm_1/recurrent_kernel:0", (1, 4)),
            ("lstm_1/bias:0", (4,)),
        ],
        "dense_1": [("dense_1/kernel:0", (1, 1)), ("dense_1/bias:0", (1,))],
    }

    def weights(group, names):
        # Keras splits lists beyond 64 KB in this way; here it is done for two names or more.
        encoded = [name.encode("utf8") for name, _ in names]
        if len(names) < 2:
            group.attrs["weight_names"] = encoded
        else:
            group.attrs["weight_names0"] = encoded[:1]
            group.attrs["weight_names1"] = encoded[1:]
        for name, shape in names:
            group.create_dataset(name, data=values(shape), dtype="float32")

    number = iter(range(100))

    def values(shape):
        return next(number) + np.arange(np.prod(shape)).reshape(shape) / 8

    with h5py.File(HERE / "keras2.h5", "w") as file:
        file.attrs["keras_version"] = b"2.2.4"
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = config
        file.attrs["training_config"] = b'{"loss": "mse", "metrics": []}'
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode("utf8") for name in layers]
        group.attrs["keras_version"] = b"2.2.4"
        for name, names in layers.items():
            weights(group.create_group(name), names)
        group = file.create_group("optimizer_weights")
        weights(group, [("SGD/iterations:0", ()), ("training/SGD/Variable:0", (4, 2))])


def types():
    """Every element type and storage that is read, and text in every form."""
    numbers = np.arange(6).reshape(2, 3)
    for latest in (False, True):
        name = "types_latest.h5" if latest else "types.h5"
        with h5py.File(HERE / name, "w", libver="latest" if latest else "earliest") as file:
            for dtype in "f2 <f4 >f4 <f8 >f8 i1 u1 <i2 >i2 <u4 >u4 <i8 >u8".split():
                file[dtype] = (numbers / 2 if "f" in dtype else numbers).astype(dtype)
            file["bool"] = numbers % 2 == 0
            brain = file.create_dataset("bf16", data=(numbers / 2).astype(ml_dtypes.bfloat16))
            brain.attrs["dtype"] = "bfloat16"
            file["scalar"] = np.float32(2.5)
            file["empty"] = np.zeros((0, 3), np.float32)
            packed = np.arange(600, dtype=np.float32).reshape(20, 30)
            file.create_dataset("gzip", data=packed, chunks=(7, 11), compression="gzip")
            file.create_dataset("filters", data=packed, chunks=(7, 11), compression="lzf",
                                shuffle=True, fletcher32=True)
            file.create_dataset("unwritten", (2, 2), "f4", fillvalue=1.5)
            file.attrs["fixed"] = np.bytes_("text")
            file.attrs["variable"] = "größe"
            file.attrs["list"] = ["a", "bc"]
            file.attrs["fixed list"] = np.array([b"a", b"bc"])
            file.attrs["nothing"] = []
            file.attrs["number"] = 3


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    keras_2()
    types()
    keras_3()

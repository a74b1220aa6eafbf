"""check_containers.py FOLDER: Keras and h5py read the files that were written into the folder."""

import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
import keras
import numpy as np

ours = pathlib.Path(sys.argv[1])
theirs = pathlib.Path(__file__).parent / "files"


def variables(model):
    return [v.numpy() for v in model.weights + model.optimizer.variables]


for name in ["keras3.h5", "keras3.keras"]:
    expected = variables(keras.saving.load_model(theirs / name))
    for got, want in zip(variables(keras.saving.load_model(ours / name)), expected, strict=True):
        np.testing.assert_array_equal(got, want)

model = keras.saving.load_model(theirs / "keras3.keras", compile=False)
for weight in model.weights:
    weight.assign(0 * weight)
model.load_weights(ours / "keras3.weights.h5")
for got, want in zip(model.weights, expected):
    np.testing.assert_array_equal(got, want)


def everything(group):
    found = {}
    group.visititems(lambda path, node: found.update({path: node}))
    return found


for name in ["keras2.h5", "keras3.h5", "keras3.weights.h5"]:
    with h5py.File(ours / name) as a, h5py.File(theirs / name) as b:
        a, b = everything(a), everything(b)
        datasets = [path for path in b if isinstance(b[path], h5py.Dataset)]
        assert datasets == [path for path in a if isinstance(a[path], h5py.Dataset)]
        for path in datasets:
            np.testing.assert_array_equal(a[path], b[path])
print("read by Keras", keras.__version__, "and h5py", h5py.__version__)

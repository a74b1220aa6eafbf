"""training.py FOLDER: trains models with all optimizers and losses for STEPS steps and writes it as NAME.keras
and NAME.h5, goes on for twice as many, and writes the weights after each STEPS as NAME.1.keras and
NAME.2.keras. The batches are in NAME.npz.
training.py FOLDER check: from NAME.ours.keras, written after 2 STEPS, Keras's fit goes on to the
same weights. Prints the largest difference of each case.
"""

import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
from keras import layers as L
from keras import losses
from keras import optimizers as O

FOLDER = pathlib.Path(sys.argv[1])
STEPS = 4
BATCH = 8
TOLERANCE = 1e-5


def stack(*end):
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            L.Dense(3, "tanh", trainable=False),
            L.Bidirectional(L.GRU(3)),
            L.BatchNormalization(),
            L.Dense(*(end or [1, "sigmoid"])),
        ]
    )


def branches():
    """Layers that Keras sorts by depth, and one that is used twice."""
    x = keras.Input((4, 3))
    shared = L.Dense(3, "tanh")
    late = L.LSTM(3)(shared(shared(x)))
    return keras.Model(x, L.Dense(1, "sigmoid")(L.Add()([L.SimpleRNN(3)(x), late])))


def frames():
    """A model that is applied to each step, in which each is a batch of its own."""
    inner = [L.Conv1D(2, 2, use_bias=False), L.BatchNormalization(momentum=0.5), L.Flatten()]
    inner.append(L.Dense(3, "tanh", activity_regularizer="l2"))
    ends = [L.GRU(3), L.Dense(1, "sigmoid")]
    every = L.TimeDistributed(keras.Sequential(inner))
    return keras.Sequential([keras.Input((4, 3)), L.Reshape((4, 3, 1)), every, *ends])


def cases():
    decay = O.schedules.ExponentialDecay(0.1, 3, 0.5)
    yield "sgd", stack, O.SGD(0.1)
    yield "sgd_momentum", stack, O.SGD(decay, momentum=0.9, nesterov=True)
    yield "rmsprop", stack, O.RMSprop(0.01)
    yield "rmsprop_all", stack, O.RMSprop(0.01, rho=0.8, momentum=0.5, centered=True)
    yield "adagrad", stack, O.Adagrad(0.05)
    yield "adadelta", stack, O.Adadelta(1.0)
    yield "adam", stack, O.Adam(0.01, beta_1=0.8, clipnorm=0.5)
    yield "adamw", stack, O.AdamW(0.01)
    yield "adamax", stack, O.Adamax(0.01, beta_2=0.9)
    yield "nadam", stack, O.Nadam(0.01)
    yield "lion", stack, O.Lion(0.002, beta_1=0.8, weight_decay=0.01)
    yield "adam_branches", branches, O.Adam(0.01)
    yield "adam_frames", frames, O.Adam(0.01)
    two = losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2)
    yield "binary_logits", lambda: stack(2), O.Adam(0.01), two
    smooth = losses.CategoricalCrossentropy(label_smoothing=0.1)
    yield "categorical_smooth", lambda: stack(3, "softmax"), O.Adam(0.01), smooth
    logits = losses.CategoricalCrossentropy(from_logits=True)
    yield "categorical_logits", lambda: stack(3), O.Adam(0.01), logits
    sparse = losses.SparseCategoricalCrossentropy(from_logits=True)
    yield "sparse_logits", lambda: stack(3), O.Adam(0.01), sparse
    rates = O.schedules
    focal = losses.BinaryFocalCrossentropy(apply_class_balancing=True)
    yield "focal", stack, O.SGD(rates.CosineDecayRestarts(0.1, 3)), focal
    polynomial = O.SGD(rates.PolynomialDecay(0.1, 6, 0.01, power=2.0))
    yield "divergence", lambda: stack(3, "softmax"), polynomial, losses.KLDivergence()
    warm = O.SGD(rates.CosineDecay(0.01, 9, warmup_target=0.1, warmup_steps=5))
    yield "hinge", lambda: stack(1, "tanh"), warm, losses.Hinge()
    inverse = O.SGD(rates.InverseTimeDecay(0.1, 3, 0.5))
    yield "probabilities", lambda: stack(2, "hard_sigmoid"), inverse, losses.BinaryCrossentropy()


def train(model, data, part):
    rows = slice(part * STEPS * BATCH, (part + 1) * STEPS * BATCH)
    model.fit(data["x"][rows], data["y"][rows], batch_size=BATCH, shuffle=False, verbose=0)


def write():
    random = np.random.default_rng(1)
    for number, (name, build, optimizer, *loss) in enumerate(cases()):
        keras.utils.set_random_seed(number)
        model = build()
        loss = loss[0] if loss else losses.BinaryCrossentropy()
        model.compile(optimizer, loss, metrics=["accuracy"])
        count = 3 * STEPS * BATCH
        classes = model.output_shape[-1]
        labels = random.integers(0, max(classes, 2), count)
        if loss.name.startswith("categorical"):
            labels = np.eye(classes, dtype="float32")[labels]
        elif not loss.name.startswith("sparse"):
            labels = random.integers(0, 2, (count, classes)).astype("float32")
        data = {
            "x": random.normal(size=(count, 4, 3)).astype("float32"),
            "y": labels,
        }
        np.savez(FOLDER / f"{name}.npz", **data)
        train(model, data, 0)
        model.save(FOLDER / f"{name}.keras")
        model.save(FOLDER / f"{name}.h5")
        for part in [1, 2]:
            train(model, data, part)
            model.save(FOLDER / f"{name}.{part}.keras")


def check():
    for arrays in sorted(FOLDER.glob("*.npz")):
        name = arrays.stem
        want = keras.models.load_model(FOLDER / f"{name}.2.keras")
        model = keras.models.load_model(FOLDER / f"{name}.ours.keras")
        assert int(model.optimizer.iterations.numpy()) == 2 * STEPS, name
        train(model, np.load(arrays), 2)
        pairs = zip(model.weights, want.weights, strict=True)
        worst = max(float(np.max(np.abs(got.numpy() - w.numpy()))) for got, w in pairs)
        print(f"{name}: {worst:.1e}")
        assert worst <= TOLERANCE, name


check() if sys.argv[2:] == ["check"] else write()
print("Keras", keras.__version__)

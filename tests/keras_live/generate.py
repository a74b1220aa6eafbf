"""generate.py FOLDER FIRST LAST: for each seed from FIRST to before LAST a random model, random data,
and what Keras on TensorFlow makes of them. Seeds whose files are there are passed over.

N.keras is the compiled model, N.after.keras the same after three steps of training, N.npz holds what
is fed, and what Keras computes; its names are those of `rnn-gpu train --model`:

x_train_0, ..       inputs                          y_train_0, ..   labels of each output
w_train_0, ..       weights, for all outputs where there is one array, else for each
class_weights       of each class, in training
predict_0, ..       outputs                         loss            of all examples, as Model.evaluate has it
accuracy            of all examples, where there is one output of classes
losses              of the three steps

generate.py FOLDER again SEED ..: of these seeds N.exact.npz and N.exact.after.keras, the same results
computed in double precision, and N.near0.npz, N.near0.after.keras, .. in single precision of weights
that differ in their last bit: the distances between them tell rounding from mistakes.

Each example stands in one batch of BATCH; the last batch is smaller.
"""

import os
import pathlib
import sys
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import warnings

import keras
import numpy as np
import tensorflow as tf

import models
import training
from draw import Draw


def without_mask(call):
    """The Softmax layer, which takes a mask for one of features wherever the extents allow it."""

    def checked(self, inputs, mask=None):
        if mask is not None:
            raise ValueError("a Softmax layer of a masked sequence")
        return call(self, inputs)

    return checked


keras.layers.Softmax.call = without_mask(keras.layers.Softmax.call)

BATCH = 3

# How many models with other last bits are computed.
NEAR = 8

# Weights begin with a standard deviation of 0.4. Where three steps move one by ten of these, training
# diverges, and each step enlarges the rounding of the one before.
DIVERGED = 4.0


class Case:
    """A compiled model with its data."""

    def __init__(self, seed, attempt):
        self.d = d = Draw([seed, attempt])
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(seed)
        # A batch shape that is fixed leaves no room for a smaller last batch.
        self.count = 3 * BATCH if d.stateful else 2 * BATCH + 1
        if d.stateful or d.chance(0.25):
            self.sequential()
        else:
            self.functional()
        training.freeze(self.model)
        training.check_ties(self.model)
        for end in self.ends:
            training.check_mask(end.tensor)
        self.randomize()
        self.optimizer = training.optimizer(d)
        self.draw_data()
        self.compile()

    def sequential(self):
        graph, layers, x = models.stack(self.d, BATCH if self.d.stateful else None)
        apply = lambda layer, x: layers.append(layer) or layer(x)
        self.ends = [training.end(self.d, x, apply)]
        first = graph.inputs[0]
        first = keras.Input(batch_shape=first.shape, dtype=first.dtype)
        self.model = keras.Sequential([first, *layers])

    def functional(self):
        graph, leaves = models.grown(self.d)
        apply = lambda layer, x: layer(x)
        self.ends = [training.end(self.d, leaf, apply) for leaf in leaves]
        outputs = [end.tensor for end in self.ends]
        # An input that no output depends on does not belong to the model.
        fed = sorted(set().union(*(graph.fed[id(leaf)] for leaf in leaves)))
        one = lambda all: all[0] if len(all) == 1 else all
        self.model = keras.Model(one([graph.inputs[i] for i in fed]), one(outputs))

    def randomize(self):
        """Every weight differs from its first value, biases and moving averages as well."""
        for weight in self.model.weights:
            value = self.d.normal(weight.shape, 0.4)
            if "variance" in weight.path:
                value = abs(value) + 0.2
            weight.assign(value + 1.0 if "gamma" in weight.path else value)

    def draw_data(self):
        d = self.d
        self.inputs = [self.input(tensor) for tensor in self.model.inputs]
        self.labels = [training.labels(d, end, self.count) for end in self.ends]
        self.weights = training.weights(d, self.ends, self.count)
        by_class = training.class_weights(d, self.ends) if self.weights is None else None
        self.class_weights = by_class

    def input(self, tensor):
        d, shape = self.d, (self.count, *tensor.shape[1:])
        if tensor.dtype == "int32":
            tokens = d.random.integers(1, models.EMBEDDED, shape)
            # Zeros at the ends, within, and whole examples of them.
            tokens[d.random.random(shape) < 0.35] = 0
            if d.chance(0.2):
                tokens[d.whole(0, self.count - 1)] = 0
            return tokens.astype("int32")
        values = d.normal(shape)
        # Steps of one value for Masking; pictures would have equal pixels, of which none is the largest.
        if len(shape) == 3:
            value = d.pick([0.0, 0.0, 1.0, -0.5])
            values[d.random.random(shape[:2]) < 0.3] = value
            if d.chance(0.2):
                values[d.whole(0, self.count - 1)] = value
        return values

    def compile(self):
        one = lambda all: all[0] if len(all) == 1 else all
        counts = None
        if len(self.ends) > 1 and self.d.chance(0.6):
            counts = [self.d.number(0.2, 2.0) for _ in self.ends]
        losses = one([end.loss for end in self.ends])
        names = getattr(self.model, "output_names", [])
        if len(set(names)) == len(self.ends) > 1 and self.d.chance(0.3):
            losses = dict(zip(names, losses))
            counts = counts and dict(zip(names, counts))
        self.model.compile(
            optimizer=self.optimizer,
            loss=losses,
            loss_weights=counts,
            metrics=training.metrics(self.ends),
            run_eagerly=True,
        )

    def batches(self, weights):
        one = lambda all: all[0] if len(all) == 1 else all
        for at in range(0, self.count, BATCH):
            part = lambda all: one([a[at : at + BATCH] for a in all])
            yield part(self.inputs), part(self.labels), weights and part(weights)

    def reset(self):
        """States of stateful layers begin anew."""
        if self.d.stateful:
            for layer in self.model.layers:
                if hasattr(layer, "reset_state"):
                    layer.reset_state()

    def results(self):
        """What Keras computes, by name."""
        outputs = []
        for batch in self.batches(self.weights):
            outputs.append(training.evaluate_step(self.model, *batch))
        found = {
            f"predict_{index}": np.concatenate([np.asarray(part) for part in parts])
            for index, parts in enumerate(zip(*outputs))
        }
        metrics = self.model.get_metrics_result()
        found |= {k.removeprefix("binary_"): np.float64(v) for k, v in metrics.items()}
        self.reset()
        counts = self.weights
        if self.class_weights:
            classes = self.labels[0].reshape(-1).astype(int)
            counts = [np.array(self.class_weights, "float32")[classes]]
        before = self.model.get_weights()
        step = lambda batch: training.train_step(self.model, self.optimizer, *batch)
        found["losses"] = np.array([step(batch) for batch in self.batches(counts)])
        moved = (abs(a - b).max(initial=0.0) for a, b in zip(self.model.get_weights(), before))
        if max(moved, default=0.0) > DIVERGED:
            raise ValueError("the training diverges")
        if not all(np.isfinite(values).all() for values in found.values()):
            raise ValueError("a result is not a number, as the mean of no steps is")
        return found

    def write(self, stem):
        self.model.save(f"{stem}.keras")
        arrays = self.results()
        arrays |= {f"x_train_{i}": x for i, x in enumerate(self.inputs)}
        arrays |= {f"y_train_{i}": y for i, y in enumerate(self.labels)}
        arrays |= {f"w_train_{i}": w for i, w in enumerate(self.weights or [])}
        if self.class_weights:
            arrays["class_weights"] = np.array(self.class_weights, "float32")
        self.model.save(f"{stem}.after.keras")
        # It comes last, and at once: who finds it finds all.
        np.savez(f"{stem}.part.npz", **arrays)
        os.replace(f"{stem}.part.npz", f"{stem}.npz")

    def write_exact(self, stem):
        """The same results in double precision, weights rounded at the end."""
        arrays = self.results()
        rounded = keras.models.load_model(f"{stem}.keras", compile=False)
        rounded.set_weights(self.model.get_weights())
        rounded.save(f"{stem}.exact.after.keras")
        np.savez(f"{stem}.exact.npz", **arrays)

    def write_near(self, stem, number):
        """The results of weights that are moved by one unit in the last place, or by none."""
        random = np.random.default_rng(number)
        for weight in self.model.weights:
            value = np.asarray(weight)
            weight.assign(value + np.spacing(value) * random.integers(-1, 2, value.shape))
        arrays = self.results()
        self.model.save(f"{stem}.near{number}.after.keras")
        np.savez(f"{stem}.near{number}.npz", **arrays)


def attempts(seed, stem, write):
    """Draws models until there is one that Keras computes."""
    reasons = []
    for attempt in range(20):
        try:
            return write(Case(seed, attempt), stem)
        # A Sequential model that cannot be built has no inputs: an AttributeError.
        except (ValueError, AttributeError, tf.errors.InvalidArgumentError) as error:
            reasons.append(str(error))
    raise SystemExit("\n".join([f"seed {seed}: Keras computes none of its models", *reasons]))


def compute_again(seed, stem):
    keras.config.set_floatx("float64")
    try:
        attempts(seed, stem, Case.write_exact)
    except tf.errors.NotFoundError:
        print(f"seed {seed}: TensorFlow has no kernel of double precision", file=sys.stderr)
    keras.config.set_floatx("float32")
    for number in range(NEAR):
        attempts(seed, stem, lambda case, stem: case.write_near(stem, number))


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    if sys.argv[2] == "again":
        for seed in map(int, sys.argv[3:]):
            compute_again(seed, folder / str(seed))
        return
    for seed in range(int(sys.argv[2]), int(sys.argv[3])):
        if not (folder / f"{seed}.npz").exists():
            attempts(seed, folder / str(seed), Case.write)


main()

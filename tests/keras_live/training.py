"""Random ends of models, losses, weights and optimizers."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L, losses, optimizers


class End:
    """An output, its loss, and how labels are drawn."""

    def __init__(self, tensor, loss, labels):
        self.tensor = tensor
        self.loss = loss
        self.labels = labels


def freeze(model):
    """Layers that are not trained hand that down to their parts. What they are made with does not
    reach the cell of a ConvLSTM, nor the layers in a wrapper; nor does a value that is set again.
    """
    for layer in list(model._flatten_layers()):
        if not layer.trainable:
            layer.trainable = True
            layer.trainable = False


def check_ties(model):
    """Refuses MaxPooling3D behind layers whose outputs may hold equal neighbours.

    TensorFlow gives all of equal largest pixels in a window of MaxPooling3D the whole gradient.
    """
    kinds = {type(layer).__name__ for layer in model._flatten_layers()}
    repeating = {"RepeatVector", "UpSampling1D", "UpSampling2D", "UpSampling3D"}
    equal = repeating | {"LayerNormalization", "GroupNormalization", "Conv3DTranspose"}
    if "MaxPooling3D" in kinds and kinds & equal:
        raise ValueError("MaxPooling3D of pixels that may be equal")


def check_mask(tensor):
    """Keras multiplies a loss by the mask, which only a sequence of vectors has the shape for."""
    if getattr(tensor, "_keras_mask", None) is not None and len(tensor.shape) != 3:
        raise ValueError("a mask of an output that is no sequence of vectors")


def end(d, tensor, apply):
    """Puts what a loss needs behind a tensor; `apply` applies a layer to it."""
    kind = d.weighted([(3, "numbers"), (2, "binary"), (2, "classes"), (2, "sparse")])
    if kind == "numbers":
        if d.chance(0.7):
            tensor = head(d, tensor, apply, d.whole(1, 3), d.pick([None, None, "tanh"]))
        loss = d.pick(
            [
                losses.MeanSquaredError(),
                losses.MeanAbsoluteError(),
                # A delta of another size is lost in the file: Keras 3.15.1 does not write it.
                losses.Huber(),
                "mse",
                "mae",
                "huber",
            ]
        )
        return End(tensor, loss, "numbers")
    logits = d.chance(0.4)
    given = dict(from_logits=True) if logits else {}
    if kind == "binary":
        tensor = head(d, tensor, apply, d.whole(1, 3), None if logits else "sigmoid")
        given |= d.some(label_smoothing=lambda d: d.number(0.05, 0.3))
        loss = losses.BinaryCrossentropy(**given)
        return End(tensor, loss if given or d.chance(0.5) else "binary_crossentropy", "binary")
    tensor = head(d, tensor, apply, d.whole(2, 4), None if logits else "softmax")
    if kind == "classes":
        given |= d.some(label_smoothing=lambda d: d.number(0.05, 0.3))
        loss = losses.CategoricalCrossentropy(**given)
        return End(tensor, loss if given or d.chance(0.5) else "categorical_crossentropy", kind)
    loss = losses.SparseCategoricalCrossentropy(**given)
    return End(tensor, loss if given or d.chance(0.5) else "sparse_categorical_crossentropy", kind)


def head(d, tensor, apply, units, activation):
    """A product over the last axis and an activation, in one layer or in two."""
    separate = activation is not None and d.chance(0.3)
    product = L.Dense(units, activation=None if separate else activation)
    deep = len(tensor.shape) > 2
    tensor = apply(L.TimeDistributed(product) if deep and d.chance(0.4) else product, tensor)
    if separate:
        plain = L.Softmax() if activation == "softmax" and d.chance(0.5) else None
        tensor = apply(plain or L.Activation(activation), tensor)
    return tensor


def labels(d, end, count):
    shape = (count, *end.tensor.shape[1:])
    classes = shape[-1]
    if end.labels == "numbers":
        return d.normal(shape)
    if end.labels == "binary":
        return (d.random.random(shape) < 0.5).astype("float32")
    chosen = d.random.integers(0, classes, shape[:-1])
    if end.labels == "sparse":
        return chosen.astype("int32")
    return np.eye(classes, dtype="float32")[chosen]


def metrics(ends):
    """The accuracy that the program counts, where there is one output of classes: of the classes of
    an example, or of each sigmoid unit. Keras's name "accuracy" is something else where there are
    several sigmoid units, the largest of them; and of logits it is at 0.5, not at the probability.
    """
    if len(ends) > 1 or ends[0].labels == "numbers":
        return None
    if ends[0].labels != "binary":
        return ["accuracy"]
    return None if getattr(ends[0].loss, "from_logits", False) else ["binary_accuracy"]


def weights(d, ends, count):
    """How much each example counts, or each step of it, in all outputs or in each; None, where all
    count the same.
    """
    # Keras takes weights of just the shape that a loss has before its mean, and those of steps by
    # output.
    shapes = [(count, *end.tensor.shape[1:-1]) for end in ends]
    if max(map(len, shapes)) > 2 or d.chance(0.5):
        return None
    arrays = []
    for shape in shapes[:1] if set(shapes) == {(count,)} else shapes:
        given = d.random.uniform(0.2, 2.0, shape).round(2).astype("float32")
        if d.chance(0.3):
            given[d.random.random(shape) < 0.3] = 0.0
        arrays.append(given)
    return arrays


def class_weights(d, ends):
    """What the class of an example counts, where there is one class of each."""
    one = len(ends) == 1 and len(ends[0].tensor.shape) == 2
    if not one or ends[0].labels not in ("sparse", "binary") or d.chance(0.6):
        return None
    classes = ends[0].tensor.shape[-1]
    if ends[0].labels == "binary":
        if classes > 1:
            return None
        classes = 2
    return [d.number(0.2, 2.0) for _ in range(classes)]


def rate(d, low, high):
    initial = d.number(low, high)
    schedules = optimizers.schedules
    if d.chance(0.7):
        return initial
    if d.chance(0.5):
        stairs = d.some(staircase=[True])
        return schedules.ExponentialDecay(initial, d.whole(1, 4), d.number(0.3, 0.9), **stairs)
    return schedules.CosineDecay(initial, d.whole(2, 5), **d.some(alpha=[0.1, 0.5]))


def optimizer(d):
    """Rules that divide by the size of gradients get an epsilon beside which the rounding of a
    gradient is small: with Keras's 1e-7 a weight whose gradient is 0 but for rounding would go a
    whole step in one direction or the other, in both programs rightly.
    """
    epsilon = lambda: dict(epsilon=d.number(0.05, 0.3))
    betas = lambda: d.some(
        0.5, beta_1=lambda d: d.number(0.5, 0.95), beta_2=lambda d: d.number(0.8, 0.999)
    )
    rho = lambda: d.some(0.5, rho=lambda d: d.number(0.5, 0.95))
    momentum = lambda: d.some(0.5, momentum=lambda d: d.number(0.3, 0.9))
    kind = d.weighted(
        [
            (3, "SGD"),
            (1, "RMSprop"),
            (1, "Adagrad"),
            (1, "Adadelta"),
            (2, "Adam"),
            (1, "AdamW"),
            (1, "Adamax"),
            (1, "Nadam"),
        ]
    )
    given = {
        "SGD": lambda: dict(
            learning_rate=rate(d, 0.05, 0.5), **momentum(), **d.some(nesterov=[True])
        ),
        "RMSprop": lambda: dict(
            learning_rate=rate(d, 0.01, 0.1),
            **rho(),
            **momentum(),
            **epsilon(),
            **d.some(centered=[True]),
        ),
        "Adagrad": lambda: dict(learning_rate=rate(d, 0.05, 0.3), **epsilon()),
        "Adadelta": lambda: dict(learning_rate=rate(d, 0.5, 2.0), **rho(), **epsilon()),
        "Adam": lambda: dict(learning_rate=rate(d, 0.01, 0.1), **betas(), **epsilon()),
        "AdamW": lambda: dict(learning_rate=rate(d, 0.01, 0.1), **betas(), **epsilon()),
        "Adamax": lambda: dict(learning_rate=rate(d, 0.01, 0.1), **betas(), **epsilon()),
        "Nadam": lambda: dict(learning_rate=rate(d, 0.01, 0.1), **betas(), **epsilon()),
    }[kind]()
    clipping = [
        lambda: dict(clipvalue=d.number(0.01, 0.2)),
        lambda: dict(clipnorm=d.number(0.05, 0.5)),
        lambda: dict(global_clipnorm=d.number(0.05, 0.5)),
    ]
    if d.chance(0.3):
        given |= d.pick(clipping)()
    given |= d.some(0.2, weight_decay=lambda d: d.number(0.005, 0.1))
    return getattr(optimizers, kind)(**given)


def evaluate_step(model, x, y, sample_weight):
    """Model.test_step of Keras's TensorFlow trainer. The outputs, a list."""
    output = model(x, training=False)
    loss = model.compute_loss(x=x, y=y, y_pred=output, sample_weight=sample_weight, training=False)
    model._loss_tracker.update_state(loss, sample_weight=len(keras.tree.flatten(x)[0]))
    model.compute_metrics(x, y, output, sample_weight)
    return keras.tree.flatten(output)


def train_step(model, optimizer, x, y, sample_weight):
    """Model.train_step of Keras's TensorFlow trainer, but for the gradient of an Embedding: there
    it is a list of slices, and Adam and the like treat those of a token that stands in a batch
    several times one after the other. On Keras's other backends, and here, they are summed first.
    """
    with tf.GradientTape() as tape:
        output = model(x, training=True)
        loss = model.compute_loss(
            x=x, y=y, y_pred=output, sample_weight=sample_weight, training=True
        )
    trained = model.trainable_weights
    dense = lambda g: None if g is None else tf.convert_to_tensor(g)
    gradients = [dense(g) for g in tape.gradient(loss, trained)]
    optimizer.apply(gradients, trained)
    return float(loss)

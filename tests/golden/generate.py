"""Write the golden tensors next to this file: Keras on TensorFlow CPU, float32.

Inputs come from numpy generators seeded by the case's name, so adding a case
leaves the others as they were. README.md describes the layout.
"""

import json
import os
import zlib
from pathlib import Path

os.environ.update(
    KERAS_BACKEND="tensorflow",
    CUDA_VISIBLE_DEVICES="-1",
    TF_ENABLE_ONEDNN_OPTS="0",
    TF_CPP_MIN_LOG_LEVEL="2",
)

import keras
import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.experimental.enable_op_determinism()

HERE = Path(__file__).resolve().parent


def hard_sigmoid_2018(x):
    """Keras 2's hard sigmoid."""
    return tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0)


def activation_of(name):
    return hard_sigmoid_2018 if name == "hard_sigmoid_2018" else name


class Group:
    """One output file: its tensors and the list of its cases."""

    def __init__(self, name):
        self.name, self.cases, self.tensors = name, [], {}

    def rng(self, case):
        return np.random.default_rng(zlib.crc32(f"{self.name}/{case}".encode()))

    def add(self, case, args, tensors):
        self.cases.append({"name": case, **args})
        for key, value in tensors.items():
            value = np.array(value, order="C")
            if value.dtype != np.int32:
                value = value.astype(np.float32)
            assert np.isfinite(value).all(), (self.name, case, key)
            self.tensors[f"{case}/{key}"] = value

    def save(self):
        path = HERE / f"{self.name}.safetensors"
        save_file(self.tensors, path, metadata={"cases": json.dumps(self.cases)})
        print(f"{path.name}: {len(self.cases)} cases, {path.stat().st_size} bytes")


def normal(rng, *shape, scale=1.0):
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def dense_gradient(gradient):
    return tf.convert_to_tensor(gradient)  # sums the repeated rows of IndexedSlices


def embedding():
    group = Group("embedding")
    rng = group.rng("basic")
    # Ids repeat within a row and across rows; 0 and 10 occur, 6 does not.
    tokens = np.array(
        [[0, 3, 3, 1, 10, 2, 0], [5, 4, 3, 9, 9, 9, 1], [0, 0, 8, 7, 2, 10, 5]], np.int32
    )
    layer = keras.layers.Embedding(11, 5)
    layer.build(tokens.shape)
    weights = normal(rng, 11, 5)
    layer.set_weights([weights])
    d_output = normal(rng, 3, 7, 5)
    with tf.GradientTape() as tape:
        output = layer(tokens)
    d_weights = tape.gradient(output, layer.embeddings.value, output_gradients=d_output)
    group.add(
        "basic",
        {"vocabulary": 11, "dim": 5},
        {
            "tokens": tokens,
            "weights": weights,
            "output": output,
            "d_output": d_output,
            "d_weights": dense_gradient(d_weights),
        },
    )
    group.save()


def dense():
    group = Group("dense")
    names = ["linear", "relu", "sigmoid", "tanh", "hard_sigmoid", "hard_sigmoid_2018", "softmax"]
    cases = [(name, name, True) for name in names] + [("no_bias", "linear", False)]
    for case, activation, use_bias in cases:
        rng = group.rng(case)
        x = tf.constant(normal(rng, 5, 7))
        tensors = {"x": x, "kernel": normal(rng, 7, 6)}
        if use_bias:
            tensors["bias"] = normal(rng, 6)
        layer = keras.layers.Dense(6, activation=activation_of(activation), use_bias=use_bias)
        layer.build(x.shape)
        weight_names = [name for name in ("kernel", "bias") if name in tensors]
        layer.set_weights([tensors[name] for name in weight_names])
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x)
        d_output = normal(rng, *output.shape)
        sources = [x] + [v.value for v in layer.trainable_variables]
        gradients = tape.gradient(output, sources, output_gradients=d_output)
        tensors |= {"output": output, "d_output": d_output}
        tensors |= {f"d_{n}": g for n, g in zip(["x", *weight_names], gradients)}
        group.add(case, {"activation": activation, "use_bias": use_bias}, tensors)
    group.save()


def assert_all_pieces(tensors, units, edge):
    """The gate inputs reach both flat ends and the slope of a hard sigmoid."""
    h = np.array(tensors["output"])  # the whole sequence, from a zero state
    before = np.concatenate([np.zeros_like(h[:, :1]), h[:, :-1]], axis=1)
    z = tensors["x"] @ tensors["kernel"] + before @ tensors["recurrent_kernel"] + tensors["bias"]
    for gate in (0, 1, 3):
        gate_z = z[..., gate * units : (gate + 1) * units]
        counts = [(gate_z < -edge).sum(), (abs(gate_z) < edge).sum(), (gate_z > edge).sum()]
        assert min(counts) >= 3, (gate, counts)


def recurrent_case(group, case, cell, **options):
    args = {
        "return_sequences": False,
        "return_state": False,
        "go_backwards": False,
        "use_bias": True,
        "initial_state": False,
        "activation": "tanh",
    }
    lstm = cell == "lstm"
    if lstm:
        args["recurrent_activation"] = "sigmoid"
    args |= options
    units, gates = 5, 4 if lstm else 1
    hard = args.get("recurrent_activation", "").startswith("hard")
    scale = 1.6 if hard else 0.6

    rng = group.rng(case)
    tensors = {
        "x": normal(rng, 3, 6, 4),
        "kernel": normal(rng, 4, gates * units, scale=scale),
        "recurrent_kernel": normal(rng, units, gates * units, scale=scale),
    }
    weight_names = ["kernel", "recurrent_kernel"]
    if args["use_bias"]:
        tensors["bias"] = normal(rng, gates * units, scale=0.5)
        weight_names.append("bias")
    states = ["h", "c"] if lstm else ["h"]
    state_names = [f"initial_state_{s}" for s in states] if args["initial_state"] else []
    for name in state_names:
        tensors[name] = normal(rng, 3, units, scale=0.7)

    settings = {k: args[k] for k in ("return_sequences", "go_backwards", "use_bias")}
    if lstm:
        settings["recurrent_activation"] = activation_of(args["recurrent_activation"])
        settings["use_cudnn"] = False
    layer_class = keras.layers.LSTM if lstm else keras.layers.SimpleRNN
    layer = layer_class(
        units, activation=activation_of(args["activation"]), return_state=True, **settings
    )
    layer.build((3, 6, 4))
    layer.set_weights([tensors[name] for name in weight_names])

    x = tf.constant(tensors["x"])
    initial = [tf.constant(tensors[name]) for name in state_names]
    with tf.GradientTape() as tape:
        tape.watch([x, *initial])
        output, *last = layer(x, initial_state=initial or None)
    tensors["output"] = output
    tensors |= {f"last_{s}": value for s, value in zip(states, last)}

    targets = ["output"] + [f"last_{s}" for s in states if args["return_state"]]
    for name in targets:
        tensors[f"d_{name}"] = normal(rng, *tensors[name].shape)
    weights = {v.name: v.value for v in layer.trainable_variables}
    sources = [x, *(weights[name] for name in weight_names), *initial]
    gradients = tape.gradient(
        [output, *last][: len(targets)],
        sources,
        output_gradients=[tf.constant(tensors[f"d_{name}"]) for name in targets],
    )
    names = ["x", *weight_names, *state_names]
    tensors |= {f"d_{name}": g for name, g in zip(names, gradients)}
    if hard:
        assert_all_pieces(tensors, units, 3.0 if args["recurrent_activation"] == "hard_sigmoid" else 2.5)
    group.add(case, args, tensors)


def simple_rnn():
    group = Group("simple_rnn")
    for case, options in {
        "last": {},
        "sequences": {"return_sequences": True},
        "go_backwards": {"return_sequences": True, "go_backwards": True},
        "no_bias": {"use_bias": False},
        "initial_state": {"return_sequences": True, "return_state": True, "initial_state": True},
        "relu_activation": {"return_sequences": True, "activation": "relu"},
    }.items():
        recurrent_case(group, case, "simple_rnn", **options)
    group.save()


def lstm():
    group = Group("lstm")
    for case, options in {
        "last": {},
        "sequences": {"return_sequences": True},
        "hard_sigmoid": {"return_sequences": True, "recurrent_activation": "hard_sigmoid"},
        "hard_sigmoid_2018": {"return_sequences": True, "recurrent_activation": "hard_sigmoid_2018"},
        "go_backwards": {"return_sequences": True, "go_backwards": True},
        "no_bias": {"use_bias": False},
        "initial_state": {"return_sequences": True, "return_state": True, "initial_state": True},
        "relu_activation": {"return_sequences": True, "activation": "relu"},
    }.items():
        recurrent_case(group, case, "lstm", **options)
    group.save()


def optimizers():
    group = Group("optimizers")
    sgd = {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.0, "nesterov": False}
    adam = {
        "optimizer": "adam",
        "learning_rate": 0.001,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
    }
    for case, args in {
        "sgd": sgd,
        "sgd_momentum": sgd | {"momentum": 0.9},
        "sgd_nesterov": sgd | {"momentum": 0.9, "nesterov": True},
        "adam": adam,
        "adam_beta": adam | {"learning_rate": 0.01, "beta_1": 0.8},
    }.items():
        rng = group.rng(case)
        settings = {k: v for k, v in args.items() if k != "optimizer"}
        optimizer = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[
            args["optimizer"]
        ](**settings)
        tensors = {"w": normal(rng, 3, 4)}
        w = keras.Variable(tensors["w"])
        for step in range(5):
            gradient = tensors[f"g{step}"] = normal(rng, 3, 4)
            optimizer.apply([tf.constant(gradient)], [w])
            tensors[f"w{step + 1}"] = w.numpy()
        group.add(case, args, tensors)
    group.save()


def bce():
    group = Group("bce")
    alternating = [0, 1, 0, 1, 1, 0]
    for case, from_logits, values in [
        ("logits", True, group.rng("logits").standard_normal(6)),
        ("large_logits", True, [30, 30, -30, -30, 12.5, 0]),
        ("probabilities", False, group.rng("probabilities").uniform(0.02, 0.98, 6)),
    ]:
        name = "logits" if from_logits else "probabilities"
        values = tf.constant(np.reshape(values, (6, 1)).astype(np.float32))
        labels = np.reshape(alternating, (6, 1)).astype(np.float32)
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = keras.losses.BinaryCrossentropy(from_logits=from_logits)(labels, values)
        group.add(
            case,
            {"from_logits": from_logits},
            {name: values, "labels": labels, "loss": loss, f"d_{name}": tape.gradient(loss, values)},
        )
    group.save()


def training():
    group = Group("training")
    vocabulary, dim, units, batch, time, steps = 50, 8, 16, 8, 12, 10
    for case, layer_name, recurrent_activation in [
        ("lstm", "lstm", "sigmoid"),
        ("simple_rnn", "simple_rnn", None),
        ("lstm_hard_sigmoid_2018", "lstm", "hard_sigmoid_2018"),
    ]:
        rng = group.rng(case)
        args = {
            "layer": layer_name,
            "activation": "tanh",
            "vocabulary": vocabulary,
            "dim": dim,
            "units": units,
            "steps": steps,
            "learning_rate": 0.001,
        }
        if layer_name == "lstm":
            args["recurrent_activation"] = recurrent_activation
            gates = 4
            recurrent = keras.layers.LSTM(
                units,
                recurrent_activation=activation_of(recurrent_activation),
                use_cudnn=False,
            )
            bias = np.repeat([0.0, 1.0, 0.0, 0.0], units)
        else:
            gates = 1
            recurrent = keras.layers.SimpleRNN(units)
            bias = np.zeros(units)
        initial = {
            "embedding": rng.uniform(-0.5, 0.5, (vocabulary, dim)),
            "kernel": normal(rng, dim, gates * units, scale=0.3),
            "recurrent_kernel": normal(rng, units, gates * units, scale=0.25),
            "bias": bias,
            "dense_kernel": normal(rng, units, 1, scale=0.4),
            "dense_bias": np.zeros(1),
        }
        model = keras.Sequential(
            [
                keras.layers.Embedding(vocabulary, dim),
                recurrent,
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )
        model.build((batch, time))
        model.set_weights(list(initial.values()))
        optimizer, loss_of = keras.optimizers.Adam(), keras.losses.BinaryCrossentropy()
        tensors, losses = dict(initial), []
        for step in range(steps):
            x = tensors[f"x{step}"] = rng.integers(0, vocabulary, (batch, time), np.int32)
            y = tensors[f"y{step}"] = rng.integers(0, 2, (batch, 1)).astype(np.float32)
            with tf.GradientTape() as tape:
                loss = loss_of(y, model(x, training=True))
            losses.append(loss.numpy())
            gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
            # On TensorFlow, Keras's Adam squares an embedding's gradient for each position
            # before it adds up those of one token; elsewhere it squares the sum.
            gradients = [dense_gradient(gradient) for gradient in gradients]
            optimizer.apply(gradients, model.trainable_variables)
        tensors["losses"] = np.array(losses)
        tensors |= {f"final_{n}": w for n, w in zip(initial, model.get_weights())}
        group.add(case, args, tensors)
    group.save()


if __name__ == "__main__":
    for write in (embedding, dense, simple_rnn, lstm, optimizers, bce, training):
        write()

"""Write the golden tensors next to this file: Keras on TensorFlow CPU, float32.

Inputs come from numpy generators seeded by the case's name, so adding a case
leaves the others as they were. README.md describes the layout.
"""

import functools
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
    bias = np.sum(np.atleast_2d(tensors["bias"]), axis=0)  # a GRU has two
    z = tensors["x"] @ tensors["kernel"] + before @ tensors["recurrent_kernel"] + bias
    for gate in (0, 1, 3) if len(bias) == 4 * units else (0, 1):
        gate_z = z[..., gate * units : (gate + 1) * units]
        counts = [(gate_z < -edge).sum(), (abs(gate_z) < edge).sum(), (gate_z > edge).sum()]
        assert min(counts) >= 3, (gate, counts)


def give_factors(layer, tensors, rng, gates, units, kind):
    """Dropout factors of our choice: one set a gate for x and h, or one for x that all share."""

    def draw(count, width):
        return 2.0 * rng.integers(0, 2, (count, 3, width)).astype(np.float32)

    def kept(factors, shared):
        masks = [tf.constant(f) for f in factors]
        return lambda step_input: masks[0] if shared or gates == 1 else masks

    count = gates if kind == "each" else 1
    tensors["input_factors"] = draw(count, 4)
    layer.cell.get_dropout_mask = kept(tensors["input_factors"], kind == "shared")
    if kind == "each":
        tensors["recurrent_factors"] = draw(gates, units)
        layer.cell.get_recurrent_dropout_mask = kept(tensors["recurrent_factors"], False)


def recurrent_case(group, case, cell, **options):
    args = {
        "return_sequences": False,
        "return_state": False,
        "go_backwards": False,
        "use_bias": True,
        "initial_state": False,
        "activation": "tanh",
    }
    lstm, gru = cell == "lstm", cell == "gru"
    if lstm or gru:
        args["recurrent_activation"] = "sigmoid"
    if gru:
        args["reset_after"] = True
    args |= {"mask": False, "factors": None}
    args |= options
    units, gates = 5, {"lstm": 4, "gru": 3, "simple_rnn": 1}[cell]
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
        shape = (2, gates * units) if gru and args["reset_after"] else (gates * units,)
        tensors["bias"] = normal(rng, *shape, scale=0.5)
        weight_names.append("bias")
    states = ["h", "c"] if lstm else ["h"]
    state_names = [f"initial_state_{s}" for s in states] if args["initial_state"] else []
    for name in state_names:
        tensors[name] = normal(rng, 3, units, scale=0.7)

    settings = {k: args[k] for k in ("return_sequences", "go_backwards", "use_bias")}
    if lstm or gru:
        settings["recurrent_activation"] = activation_of(args["recurrent_activation"])
        settings["use_cudnn"] = False
    if gru:
        settings["reset_after"] = args["reset_after"]
    if args["factors"]:
        settings["dropout"] = 0.5
        settings["recurrent_dropout"] = 0.5 if args["factors"] == "each" else 0.0
    layer_class = {
        "lstm": keras.layers.LSTM,
        "gru": keras.layers.GRU,
        "simple_rnn": keras.layers.SimpleRNN,
    }[cell]
    layer = layer_class(
        units, activation=activation_of(args["activation"]), return_state=True, **settings
    )
    layer.build((3, 6, 4))
    layer.set_weights([tensors[name] for name in weight_names])

    call = {}
    if args["mask"]:
        # Padding before, padding behind, holes.
        tensors["mask"] = np.array(
            [[0, 0, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0]], np.int32
        )
        call["mask"] = tf.constant(tensors["mask"].astype(bool))
    if args["factors"]:
        give_factors(layer, tensors, rng, gates, units, args["factors"])
        call["training"] = True
    x = tf.constant(tensors["x"])
    initial = [tf.constant(tensors[name]) for name in state_names]
    with tf.GradientTape() as tape:
        tape.watch([x, *initial])
        output, *last = layer(x, initial_state=initial or None, **call)
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
        "mask": {"return_sequences": True, "mask": True},
        "mask_last": {"mask": True},
        "mask_backwards": {"return_sequences": True, "mask": True, "go_backwards": True},
        "mask_state": {
            "return_sequences": True,
            "return_state": True,
            "initial_state": True,
            "mask": True,
        },
        "mask_state_last": {"initial_state": True, "mask": True},
        "dropout": {"return_sequences": True, "factors": "each"},
        "dropout_of_input": {"factors": "shared"},
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
        "mask": {"return_sequences": True, "mask": True},
        "mask_last": {"mask": True},
        "mask_backwards": {"return_sequences": True, "mask": True, "go_backwards": True},
        "mask_state": {
            "return_sequences": True,
            "return_state": True,
            "initial_state": True,
            "mask": True,
        },
        "mask_state_last": {"initial_state": True, "mask": True},
        "dropout": {"return_sequences": True, "factors": "each"},
        "dropout_of_input": {"factors": "shared"},
    }.items():
        recurrent_case(group, case, "lstm", **options)
    group.save()


def gru():
    group = Group("gru")
    before = {"reset_after": False}
    for case, options in {
        "last": {},
        "sequences": {"return_sequences": True},
        "hard_sigmoid": {"return_sequences": True, "recurrent_activation": "hard_sigmoid"},
        "go_backwards": {"return_sequences": True, "go_backwards": True},
        "no_bias": {"use_bias": False},
        "initial_state": {"return_sequences": True, "return_state": True, "initial_state": True},
        "mask": {"return_sequences": True, "mask": True},
        "mask_last": {"mask": True},
        "mask_backwards": {"return_sequences": True, "mask": True, "go_backwards": True},
        "mask_state": {
            "return_sequences": True,
            "return_state": True,
            "initial_state": True,
            "mask": True,
        },
        "mask_state_last": {"initial_state": True, "mask": True},
        "dropout": {"return_sequences": True, "factors": "each"},
        "dropout_of_input": {"factors": "shared"},
        "before": before | {"return_sequences": True},
        "before_no_bias": before | {"use_bias": False},
        "before_state": before | {"return_state": True, "initial_state": True},
        "before_mask": before | {"return_sequences": True, "mask": True},
        "before_dropout": before | {"return_sequences": True, "factors": "each"},
    }.items():
        recurrent_case(group, case, "gru", **options)
    group.save()


def layer_case(group, case, args, layer, x, rng):
    """A layer with random weights, forward and backward."""
    layer.build(x.shape)
    weights = [normal(rng, *v.shape, scale=0.6) for v in layer.trainable_variables]
    layer.set_weights(weights)
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = layer(x)
    d_output = normal(rng, *output.shape)
    sources = [x, *(v.value for v in layer.trainable_variables)]
    gradients = tape.gradient(output, sources, output_gradients=d_output)
    names = ["x", *(f"w{i}" for i in range(len(weights)))]
    tensors = {"x": x, "output": output, "d_output": d_output}
    tensors |= dict(zip(names[1:], weights))
    tensors |= {f"d_{name}": gradient for name, gradient in zip(names, gradients)}
    group.add(case, args | {"weights": len(weights)}, tensors)


def activations():
    """Each in a Dense layer that reaches its tails, and those of recurrent layers."""
    group = Group("activations")
    k = keras.layers
    names = [
        "leaky_relu", "relu6", "hard_tanh", "softsign", "exponential", "elu", "celu", "selu", "softplus",
        "silu", "hard_silu", "mish", "gelu", "log_softmax", "glu",
    ]
    approximate = functools.partial(keras.activations.gelu, approximate=True)
    for name, activation in [(name, name) for name in names] + [("gelu_tanh", approximate)]:
        rng = group.rng(name)
        x = normal(rng, 5, 7, scale=3.0)
        layer_case(group, name, {"activation": name}, k.Dense(6, activation=activation), x, rng)
    for cell, act, rec in [
        ("simple_rnn", "elu", None),
        ("simple_rnn", "gelu", None),
        ("simple_rnn", "mish", None),
        ("lstm", "softsign", "hard_silu"),
        ("lstm", "gelu", "sigmoid"),
        ("lstm", "selu", "silu"),
        ("gru", "softplus", "softsign"),
        ("gru", "gelu", "silu"),
        ("gru_reset_before", "silu", "mish"),
        ("conv_lstm1d", "gelu", "silu"),
    ]:
        case = f"{cell}_{act}"
        rng = group.rng(case)
        args = {"cell": cell, "activation": act, "recurrent_activation": rec}
        settings = {"activation": act, "return_sequences": True}
        if rec:
            settings["recurrent_activation"] = rec
        x = normal(rng, 3, 4, 5)
        if cell == "simple_rnn":
            layer = k.SimpleRNN(4, **settings)
        elif cell == "lstm":
            layer = k.LSTM(4, **settings)
        elif cell == "conv_lstm1d":
            x = normal(rng, 2, 3, 5, 2)
            layer = k.ConvLSTM1D(2, 3, padding="same", **settings)
        else:
            layer = k.GRU(4, reset_after=cell == "gru", **settings)
        layer_case(group, case, args, layer, x, rng)
    group.save()


def activation_layers():
    group = Group("activation_layers")
    k = keras.layers
    for case, kind, args, shape in [
        ("relu", "ReLU", {}, (4, 6)),
        ("relu_6", "ReLU", {"max_value": 6.0}, (6,)),
        ("relu_all", "ReLU", {"max_value": 2.5, "negative_slope": 0.4, "threshold": 0.75}, (4, 6)),
        ("leaky_relu", "LeakyReLU", {}, (6,)),
        ("leaky_relu_0.1", "LeakyReLU", {"negative_slope": 0.1}, (4, 6)),
        ("elu", "ELU", {}, (6,)),
        ("elu_1.7", "ELU", {"alpha": 1.7}, (3, 2, 4)),
        ("prelu_vector", "PReLU", {}, (6,)),
        ("prelu_sequence", "PReLU", {}, (4, 6)),
        ("prelu_steps_shared", "PReLU", {"shared_axes": [1]}, (4, 6)),
        ("prelu_all_shared", "PReLU", {"shared_axes": [1, 2]}, (4, 6)),
        ("prelu_channels", "PReLU", {"shared_axes": [1, 2]}, (3, 4, 5)),
        ("prelu_columns_shared", "PReLU", {"shared_axes": [2]}, (3, 4, 5)),
        ("softmax_steps", "Softmax", {"axis": 1}, (4, 6)),
        ("softmax_rows", "Softmax", {"axis": 1}, (3, 4, 5)),
        ("softmax_columns", "Softmax", {"axis": -2}, (3, 4, 5)),
    ]:
        rng = group.rng(case)
        layer = getattr(k, kind)(**args)
        layer_case(group, case, {"kind": kind} | args, layer, normal(rng, 3, *shape, scale=3.0), rng)
    group.save()


def conv1d():
    group = Group("conv1d")
    plain = {
        "kernel_size": 3,
        "strides": 1,
        "dilation_rate": 1,
        "padding": "valid",
        "activation": "linear",
        "use_bias": True,
    }
    for case, options in {
        "valid": {},
        "same": {"padding": "same", "activation": "relu"},
        "same_even": {"padding": "same", "kernel_size": 4},
        "causal": {"padding": "causal", "activation": "tanh"},
        "strides": {"strides": 2},
        "same_strides": {"strides": 3, "padding": "same"},
        "dilation": {"dilation_rate": 2, "padding": "same"},
        "causal_dilation": {"dilation_rate": 3, "padding": "causal"},
        "one_step": {"kernel_size": 1, "use_bias": False},
    }.items():
        rng = group.rng(case)
        args = plain | options
        layer = keras.layers.Conv1D(5, **args)
        layer_case(group, case, args, layer, normal(rng, 2, 10, 4), rng)
    group.save()


def conv2d_and_conv3d():
    plain = {"strides": 1, "dilation_rate": 1, "padding": "valid", "activation": "linear"}
    for name, layer_class, shape, cases in [
        (
            "conv2d",
            keras.layers.Conv2D,
            (2, 6, 5, 3),
            {
                "valid": {"kernel_size": (3, 2), "activation": "relu"},
                "same": {"kernel_size": 3, "padding": "same"},
                "strides": {"kernel_size": (3, 2), "strides": (2, 3), "padding": "same"},
                "dilation": {"kernel_size": 2, "dilation_rate": (2, 1)},
                "one_pixel": {"kernel_size": 1},
            },
        ),
        (
            "conv3d",
            keras.layers.Conv3D,
            (2, 4, 5, 3, 2),
            {
                "same": {"kernel_size": 3, "padding": "same", "activation": "sigmoid"},
                "strides": {"kernel_size": (2, 3, 1), "strides": (1, 2, 2)},
            },
        ),
    ]:
        group = Group(name)
        for case, options in cases.items():
            rng = group.rng(case)
            args = plain | options
            axes = len(shape) - 2
            for key in ("kernel_size", "strides", "dilation_rate"):
                if not isinstance(args[key], tuple):
                    args[key] = (args[key],) * axes
            layer_case(group, case, args, layer_class(4, **args), normal(rng, *shape), rng)
        group.save()


def conv_lstm():
    group = Group("conv_lstm")
    plain = {
        "kernel_size": 3,
        "strides": 1,
        "dilation_rate": 1,
        "padding": "same",
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "use_bias": True,
        "return_sequences": False,
        "go_backwards": False,
    }
    shapes = {1: (3, 4, 6, 2), 2: (3, 4, 5, 4, 2), 3: (3, 3, 4, 3, 2, 2)}
    for case, axes, options in [
        ("1d_same", 1, {"return_sequences": True}),
        ("1d_strides", 1, {"padding": "valid", "strides": 2}),
        ("2d_last", 2, {}),
        ("2d_sequences", 2, {"return_sequences": True, "recurrent_activation": "hard_sigmoid_2018"}),
        ("2d_valid", 2, {"padding": "valid", "kernel_size": (3, 2), "go_backwards": True}),
        ("2d_dilation", 2, {"dilation_rate": (2, 1), "use_bias": False}),
        ("2d_state", 2, {"return_sequences": True, "state": True}),
        ("2d_mask", 2, {"return_sequences": True, "mask": True}),
        ("2d_mask_state", 2, {"mask": True, "state": True}),
        ("3d_same", 3, {"return_sequences": True, "kernel_size": (3, 2, 1)}),
        ("2d_dropout", 2, {"return_sequences": True, "dropout": True}),
    ]:
        rng = group.rng(case)
        args = plain | options
        drops = args.pop("dropout", False)
        for key in ("kernel_size", "strides", "dilation_rate"):
            if not isinstance(args[key], tuple):
                args[key] = (args[key],) * axes
        with_state, with_mask = args.pop("state", False), args.pop("mask", False)
        settings = args | {"recurrent_activation": activation_of(args["recurrent_activation"])}
        if drops:
            settings |= {"dropout": 0.5, "recurrent_dropout": 0.5}
        layer = getattr(keras.layers, f"ConvLSTM{axes}D")(3, return_state=True, **settings)
        x = tf.constant(normal(rng, *shapes[axes]))
        layer.build(x.shape)
        weights = [normal(rng, *v.shape, scale=0.4) for v in layer.trainable_variables]
        layer.set_weights(weights)
        tensors = {"x": x} | {f"w{i}": w for i, w in enumerate(weights)}
        names, call = [f"w{i}" for i in range(len(weights))], {}
        initial = []
        if with_state:
            shape = layer(x)[1].shape
            initial = [tf.constant(normal(rng, *shape, scale=0.7)) for _ in "hc"]
            tensors |= {f"initial_state_{s}": value for s, value in zip("hc", initial)}
            call["initial_state"] = initial
        if with_mask:
            mask = np.array([[0, 1, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1]], np.int32)
            tensors["mask"] = mask
            call["mask"] = tf.constant(mask.astype(bool))
        if drops:
            # Factors of our choice: one set a gate for x and for h.
            draw = lambda channels: 2.0 * rng.integers(0, 2, (4, 3, 5, 4, channels))
            for name, method, channels in [
                ("input_factors", "get_dropout_mask", 2),
                ("recurrent_factors", "get_recurrent_dropout_mask", 3),
            ]:
                factors = tensors[name] = draw(channels).astype(np.float32)
                kept = [tf.constant(f) for f in factors]
                setattr(layer.cell, method, lambda step_input, kept=kept: kept)
            call["training"] = True
        with tf.GradientTape() as tape:
            tape.watch([x, *initial])
            output, *last = layer(x, **call)
        tensors |= {"output": output} | {f"last_{s}": value for s, value in zip("hc", last)}
        targets = ["output", "last_h", "last_c"] if with_state else ["output"]
        for name in targets:
            tensors[f"d_{name}"] = normal(rng, *tensors[name].shape)
        sources = [x, *(v.value for v in layer.trainable_variables), *initial]
        gradients = tape.gradient(
            [output, *last][: len(targets)],
            sources,
            output_gradients=[tf.constant(tensors[f"d_{name}"]) for name in targets],
        )
        names = ["x", *names, *(f"initial_state_{s}" for s, _ in zip("hc", initial))]
        tensors |= {f"d_{name}": g for name, g in zip(names, gradients)}
        group.add(case, args | {"axes": axes, "weights": len(weights)}, tensors)
    group.save()


def pooling():
    group = Group("pooling")
    sizes = {
        "pairs": {"pool_size": 2, "strides": 2, "padding": "valid"},
        "overlapping": {"pool_size": 3, "strides": 1, "padding": "valid"},
        "same": {"pool_size": 4, "strides": 3, "padding": "same"},
    }
    for kind in ("Max", "Average"):
        for case, args in sizes.items():
            case = f"{kind.lower()}_{case}"
            rng = group.rng(case)
            layer = getattr(keras.layers, f"{kind}Pooling1D")(**args)
            layer_case(group, case, args | {"kind": kind}, layer, normal(rng, 2, 11, 3), rng)
        case = f"global_{kind.lower()}"
        rng = group.rng(case)
        layer = getattr(keras.layers, f"Global{kind}Pooling1D")()
        layer_case(group, case, {"kind": f"Global{kind}"}, layer, normal(rng, 2, 11, 3), rng)
    group.save()
    group = Group("pooling2d")
    for kind in ("Max", "Average"):
        for case, args in {
            "squares": {"pool_size": (2, 2), "strides": (2, 2), "padding": "valid"},
            "same": {"pool_size": (3, 2), "strides": (2, 1), "padding": "same"},
        }.items():
            case = f"{kind.lower()}_{case}"
            rng = group.rng(case)
            layer = getattr(keras.layers, f"{kind}Pooling2D")(**args)
            layer_case(group, case, args | {"kind": kind}, layer, normal(rng, 2, 5, 6, 3), rng)
        case = f"global_{kind.lower()}"
        rng = group.rng(case)
        layer = getattr(keras.layers, f"Global{kind}Pooling2D")()
        layer_case(group, case, {"kind": f"Global{kind}"}, layer, normal(rng, 2, 5, 4, 3), rng)
    group.save()
    group = Group("pooling3d")
    for kind in ("Max", "Average"):
        args = {"pool_size": (2, 1, 3), "strides": (1, 2, 2), "padding": "same"}
        rng = group.rng(kind)
        layer = getattr(keras.layers, f"{kind}Pooling3D")(**args)
        layer_case(group, kind, args | {"kind": kind}, layer, normal(rng, 2, 4, 3, 5, 2), rng)
    group.save()


def layer_normalization():
    group = Group("layer_normalization")
    for case, epsilon in [("default", 1e-3), ("small_epsilon", 1e-6)]:
        rng = group.rng(case)
        layer = keras.layers.LayerNormalization(epsilon=epsilon)
        layer_case(group, case, {"epsilon": epsilon}, layer, normal(rng, 3, 4, 7), rng)
    group.save()


def batch_normalization():
    """Two steps of training, with gradients and moving averages, then inference."""
    group = Group("batch_normalization")
    for case, shape, settings in [
        ("rows", (6, 5), {}),
        ("films", (2, 3, 4, 3, 5), {"momentum": 0.8, "epsilon": 1e-2}),
        ("films_2018", (2, 3, 2, 2, 5), {"momentum": 0.8}),
    ]:
        rng = group.rng(case)
        layer = keras.layers.BatchNormalization(**settings)
        corrected = case.endswith("2018")
        layer.build(shape)
        weights = [normal(rng, 5), normal(rng, 5), normal(rng, 5), rng.uniform(0.5, 2.0, 5)]
        layer.set_weights(weights)
        tensors = {f"w{i}": w for i, w in enumerate(weights)}
        for step in range(2):
            x = tensors[f"x{step}"] = tf.constant(normal(rng, *shape, scale=2.0))
            with tf.GradientTape() as tape:
                tape.watch(x)
                output = layer(x, training=True)
            d_output = tensors[f"d_output{step}"] = normal(rng, *shape)
            sources = [x, layer.gamma.value, layer.beta.value]
            gradients = tape.gradient(output, sources, output_gradients=d_output)
            tensors |= {f"{n}{step}": g for n, g in zip(["d_x", "d_gamma", "d_beta"], gradients)}
            tensors[f"output{step}"] = output
            tensors[f"moving_mean{step}"] = layer.moving_mean.numpy()
            if corrected:
                # Keras 2.2.4, layers/normalization.py: n / (n - (1 + epsilon)) times the variance.
                n = np.prod(shape[:-1])
                factor = n / (n - (1.0 + layer.epsilon))
                before = tensors[f"moving_variance{step - 1}"] if step else weights[3]
                variance = np.var(np.array(x, np.float64), axis=tuple(range(len(shape) - 1)))
                moved = layer.momentum * before + (1 - layer.momentum) * variance * factor
                layer.moving_variance.assign(moved)
            tensors[f"moving_variance{step}"] = layer.moving_variance.numpy()
        tensors["x2"] = normal(rng, *shape)
        tensors["output2"] = layer(tensors["x2"], training=False)
        args = {"momentum": layer.momentum, "epsilon": layer.epsilon, "corrected": corrected}
        group.add(case, args, tensors)
    group.save()


def bidirectional():
    group = Group("bidirectional")
    for case, args in {
        "concat": {"merge_mode": "concat", "return_sequences": True, "layer": "lstm"},
        "concat_last": {"merge_mode": "concat", "return_sequences": False, "layer": "gru"},
        "sum": {"merge_mode": "sum", "return_sequences": True, "layer": "gru"},
        "mul": {"merge_mode": "mul", "return_sequences": False, "layer": "lstm"},
        "ave": {"merge_mode": "ave", "return_sequences": True, "layer": "simple_rnn"},
    }.items():
        rng = group.rng(case)
        settings = {"return_sequences": args["return_sequences"]}
        if args["layer"] != "simple_rnn":
            settings["use_cudnn"] = False
        layer = {
            "lstm": keras.layers.LSTM,
            "gru": keras.layers.GRU,
            "simple_rnn": keras.layers.SimpleRNN,
        }[args["layer"]](3, **settings)
        layer = keras.layers.Bidirectional(layer, merge_mode=args["merge_mode"])
        layer_case(group, case, args, layer, normal(rng, 2, 5, 4), rng)
    group.save()


def time_distributed():
    group = Group("time_distributed")
    rng = group.rng("dense")
    layer = keras.layers.TimeDistributed(keras.layers.Dense(4, activation="tanh"))
    layer_case(group, "dense", {}, layer, normal(rng, 3, 5, 6), rng)
    group.save()


def repeat_vector():
    group = Group("repeat_vector")
    for n in (1, 5):
        rng = group.rng(f"{n}_steps")
        layer = keras.layers.RepeatVector(n)
        layer_case(group, f"{n}_steps", {"n": n}, layer, normal(rng, 3, 6), rng)
    group.save()


def permute():
    group = Group("permute")
    for case, shape, dims in [
        ("vector", (6,), (1,)),
        ("sequence", (4, 6), (2, 1)),
        ("kept", (4, 6), (1, 2)),
        ("picture", (4, 5, 3), (3, 1, 2)),
        ("channels_first", (2, 4, 3, 5), (4, 1, 2, 3)),
        ("film", (2, 4, 3, 5), (3, 1, 4, 2)),
    ]:
        rng = group.rng(case)
        layer = keras.layers.Permute(dims)
        layer_case(group, case, {"dims": dims}, layer, normal(rng, 3, *shape), rng)
    group.save()


def masking():
    """Masking in front of a layer that takes the mask."""
    group = Group("masking")
    for case, behind in [
        ("lstm", keras.layers.LSTM(4, return_sequences=True, use_cudnn=False)),
        ("average", keras.layers.GlobalAveragePooling1D()),
    ]:
        rng = group.rng(case)
        x = normal(rng, 3, 5, 6)
        # In front, behind, and a hole; one feature alone does not make a step padding.
        for row, step in [(0, 0), (0, 1), (1, 4), (2, 2)]:
            x[row, step] = 0.0
        x[1, 1, :5] = 0.0
        layer = keras.Sequential([keras.layers.Masking(0.0), behind])
        layer_case(group, case, {}, layer, x, rng)
    group.save()


def stateful():
    """Two batches, of which the second begins where the first ended, and one after a reset."""
    group = Group("stateful")
    for case, layer in {
        "simple_rnn": keras.layers.SimpleRNN(4, stateful=True),
        "lstm": keras.layers.LSTM(4, stateful=True, use_cudnn=False),
        "gru": keras.layers.GRU(4, stateful=True, use_cudnn=False),
    }.items():
        rng = group.rng(case)
        layer.build((2, 5, 3))
        weights = [normal(rng, *v.shape, scale=0.6) for v in layer.trainable_variables]
        layer.set_weights(weights + layer.get_weights()[len(weights) :])
        tensors = {f"w{i}": w for i, w in enumerate(weights)}
        for call in range(3):
            if call == 2:
                layer.reset_states()
            tensors[f"x{call}"] = normal(rng, 2, 5, 3)
            tensors[f"y{call}"] = layer(tensors[f"x{call}"])
        group.add(case, {}, tensors)
    group.save()


def stateful_fit():
    """Two epochs of three batches in their order, each with a validation, then two batches of
    predictions: states go on through all of it, but for a last prediction after a reset."""
    group = Group("stateful_fit")
    k, batch = keras.layers, 4
    kept = {"stateful": True}
    fused = {"stateful": True, "use_cudnn": False}
    sequence, film = (5, 3), (3, 4, 4, 1)
    for case, shape, layers in [
        ("simple_rnn", sequence, [k.SimpleRNN(4, **kept)]),
        ("lstm", sequence, [k.LSTM(4, **fused)]),
        ("gru", sequence, [k.GRU(4, **fused)]),
        ("stacked", sequence, [k.LSTM(4, return_sequences=True, **fused), k.GRU(3, **fused)]),
        ("bidirectional", sequence, [k.Bidirectional(k.LSTM(3, **fused))]),
        ("conv_lstm", film, [k.ConvLSTM2D(2, 3, padding="same", **kept), k.Flatten()]),
    ]:
        rng = group.rng(case)
        model = keras.Sequential([keras.Input(batch_shape=(batch, *shape)), *layers, k.Dense(2)])
        drawn = [normal(rng, *v.shape, scale=0.4) for v in model.trainable_variables]
        for variable, weight in zip(model.trainable_variables, drawn):
            variable.assign(weight)
        model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mean_squared_error")
        x, y = normal(rng, 3 * batch, *shape), normal(rng, 3 * batch, 2)
        x_val, y_val = normal(rng, batch, *shape), normal(rng, batch, 2)
        told = {"batch_size": batch, "verbose": 0}
        validation = (x_val, y_val)
        logs = model.fit(x, y, epochs=2, shuffle=False, validation_data=validation, **told).history
        tensors = {"x": x, "y": y, "x_val": x_val, "y_val": y_val}
        tensors |= {f"w{i}": weight for i, weight in enumerate(drawn)}
        tensors |= {"losses": logs["loss"], "val_losses": logs["val_loss"]}
        tensors["predicted"] = model.predict(x[: 2 * batch], **told)
        for layer in model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_states()
        tensors["anew"] = model.predict(x[: 2 * batch], **told)
        group.add(case, {"weights": len(drawn), "batch": batch}, tensors)
    group.save()


def schedules():
    group = Group("schedules")
    steps = np.arange(40)
    decay = keras.optimizers.schedules
    for case, schedule in {
        "exponential": decay.ExponentialDecay(0.1, 10, 0.5),
        "exponential_staircase": decay.ExponentialDecay(0.1, 10, 0.5, staircase=True),
        "cosine": decay.CosineDecay(0.2, 30, alpha=0.1),
        "cosine_warm": decay.CosineDecay(0.01, 20, alpha=0.1, warmup_target=0.3, warmup_steps=7),
        "restarts": decay.CosineDecayRestarts(0.2, 5, m_mul=0.8, alpha=0.05),
        "restarts_of_one_length": decay.CosineDecayRestarts(0.2, 9, t_mul=1.0),
        "polynomial": decay.PolynomialDecay(0.2, 30, 0.01, power=2.0),
        "polynomial_cycle": decay.PolynomialDecay(0.2, 9, cycle=True),
        "inverse_time": decay.InverseTimeDecay(0.2, 10, 0.5),
        "inverse_time_staircase": decay.InverseTimeDecay(0.2, 10, 0.5, staircase=True),
    }.items():
        rate = keras.saving.serialize_keras_object(schedule)
        group.add(case, {"rate": rate}, {"rates": [float(schedule(step)) for step in steps]})
    group.save()


def metrics():
    """Of probabilities, in two batches."""
    group = Group("metrics")
    rng = group.rng("binary")
    logits, labels = normal(rng, 2, 40), rng.integers(0, 2, (2, 40)).astype(np.float32)
    logits += labels
    measures = {
        "accuracy": keras.metrics.BinaryAccuracy(),
        "precision": keras.metrics.Precision(),
        "recall": keras.metrics.Recall(),
        "f1": keras.metrics.F1Score(threshold=0.5),
        "auc": keras.metrics.AUC(),
    }
    tensors = {"logits": logits, "labels": labels}
    for name, measure in measures.items():
        for z, y in zip(logits, labels):
            measure.update_state(y[:, None], tf.sigmoid(z)[:, None])
        tensors[name] = measure.result()
    group.add("binary", {"classes": 1}, tensors)

    rng = group.rng("categorical")
    logits = normal(rng, 2, 40, 4)
    labels = np.eye(4, dtype=np.float32)[rng.integers(0, 4, (2, 40))]
    logits += labels
    tensors = {"logits": logits, "labels": labels}
    measures = {
        "accuracy": keras.metrics.CategoricalAccuracy(),
        "f1": keras.metrics.F1Score(average="macro"),
    }
    for name, measure in measures.items():
        for z, y in zip(logits, labels):
            measure.update_state(y, tf.nn.softmax(z))
        tensors[name] = measure.result()
    group.add("categorical", {"classes": 4}, tensors)
    group.save()


def optimizers():
    group = Group("optimizers")
    for case, name, settings in [
        ("sgd", "SGD", {}),
        ("sgd_momentum", "SGD", {"momentum": 0.9}),
        ("sgd_nesterov", "SGD", {"momentum": 0.9, "nesterov": True}),
        ("sgd_clipvalue", "SGD", {"clipvalue": 0.5}),
        ("sgd_clipnorm", "SGD", {"clipnorm": 1.5}),
        ("sgd_global_clipnorm", "SGD", {"global_clipnorm": 1.5}),
        ("rmsprop", "RMSprop", {}),
        ("rmsprop_momentum", "RMSprop", {"momentum": 0.5}),
        ("rmsprop_centered", "RMSprop", {"centered": True, "momentum": 0.5}),
        ("adagrad", "Adagrad", {"learning_rate": 0.01}),
        ("adadelta", "Adadelta", {"learning_rate": 1.0}),
        ("adam", "Adam", {}),
        ("adam_beta", "Adam", {"learning_rate": 0.01, "beta_1": 0.8}),
        ("adamw", "AdamW", {"learning_rate": 0.01}),
        ("adamax", "Adamax", {}),
        # The norm decays by so much that some gradients exceed it at later steps too.
        ("adamax_beta", "Adamax", {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.7}),
        ("nadam", "Nadam", {"learning_rate": 0.01}),
        ("lion", "Lion", {}),
        ("lion_beta", "Lion", {"learning_rate": 0.01, "beta_1": 0.5, "beta_2": 0.8}),
    ]:
        rng = group.rng(case)
        optimizer = getattr(keras.optimizers, name)(**settings)
        config = optimizer.get_config()
        args = {"optimizer": name} | {
            key: value for key, value in config.items() if isinstance(value, (bool, float))
        }
        # Two weights, so that norms of each and of all differ.
        tensors = {"w": normal(rng, 3, 4), "v": normal(rng, 5, scale=0.5)}
        variables = [keras.Variable(tensors["w"]), keras.Variable(tensors["v"])]
        for step in range(5):
            gradients = [normal(rng, 3, 4), normal(rng, 5, scale=0.3)]
            tensors[f"gw{step}"], tensors[f"gv{step}"] = gradients
            optimizer.apply([tf.constant(g) for g in gradients], variables)
            for key, variable in zip("wv", variables):
                tensors[f"{key}{step + 1}"] = variable.numpy()
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


def losses():
    """Weighed losses of a linear, sigmoid or softmax layer, with the gradient of what goes into it."""
    group = Group("losses")
    of, probabilities = keras.losses, (0.01, 0.99)
    for case, loss, ending, labels, *drawn in [
        ("mean_squared_error", of.MeanSquaredError(), "linear", "normal"),
        ("mean_absolute_error", of.MeanAbsoluteError(), "linear", "normal"),
        ("huber", of.Huber(delta=0.7), "linear", "normal"),
        ("binary_crossentropy", of.BinaryCrossentropy(), "sigmoid", "binary"),
        ("categorical_crossentropy", of.CategoricalCrossentropy(), "softmax", "one_hot"),
        ("sparse_categorical_crossentropy", of.SparseCategoricalCrossentropy(), "softmax", "class"),
        ("mean_absolute_percentage_error", of.MeanAbsolutePercentageError(), "linear", "normal"),
        ("mean_squared_logarithmic_error", of.MeanSquaredLogarithmicError(), "linear", "normal"),
        ("log_cosh", of.LogCosh(), "linear", "normal"),
        ("poisson", of.Poisson(), "linear", "count", 0.1, 5.0),
        ("hinge", of.Hinge(), "linear", "binary"),
        ("hinge_of_signs", of.Hinge(), "linear", "sign"),
        ("squared_hinge", of.SquaredHinge(), "linear", "binary"),
        ("categorical_hinge", of.CategoricalHinge(), "linear", "one_hot"),
        ("kl_divergence", of.KLDivergence(), "linear", "distribution", -0.1, 1.1),
        ("cosine_similarity", of.CosineSimilarity(), "linear", "normal"),
        ("dice", of.Dice(), "linear", "binary", *probabilities),
        ("tversky", of.Tversky(alpha=0.3, beta=0.7), "linear", "binary", *probabilities),
        ("probabilities", of.BinaryCrossentropy(label_smoothing=0.1), "linear", "binary", -0.1, 1.1),
        ("class_probabilities", of.CategoricalCrossentropy(), "linear", "one_hot", *probabilities),
        (
            "sparse_class_probabilities",
            of.SparseCategoricalCrossentropy(),
            "linear",
            "class",
            -0.1,
            1.1,
        ),
        ("focal", of.BinaryFocalCrossentropy(), "sigmoid", "binary"),
        ("focal_of_logits", of.BinaryFocalCrossentropy(from_logits=True), "linear", "binary"),
        (
            "balanced_focal",
            of.BinaryFocalCrossentropy(True, alpha=0.3, gamma=1.5, label_smoothing=0.2),
            "linear",
            "binary",
            *probabilities,
        ),
        ("categorical_focal", of.CategoricalFocalCrossentropy(), "softmax", "one_hot"),
        ("ctc", of.CTC(), "linear", "labels"),
        (
            "categorical_focal_of_logits",
            of.CategoricalFocalCrossentropy(0.4, 3.0, from_logits=True, label_smoothing=0.1),
            "linear",
            "one_hot",
        ),
    ]:
        rng = group.rng(case)
        shape = (6, 7, 4) if labels == "labels" else (6, 4)
        z = tf.constant(rng.uniform(*drawn, shape).astype(np.float32) if drawn else normal(rng, *shape))
        if labels == "labels":
            # Of 0 to 3 classes, some of which repeat.
            y = np.zeros((6, 7), np.int32)
            y[1:, 0], y[2:, 1], y[4:, 2] = [3, 1, 2, 2, 1], [3, 1, 2, 1], [2, 1]
        elif labels == "class":
            y = rng.integers(0, 4, 6).astype(np.int32)
        elif labels == "one_hot":
            y = np.eye(4, dtype=np.float32)[rng.integers(0, 4, 6)]
        elif labels == "binary":
            y = rng.integers(0, 2, (6, 4)).astype(np.float32)
        elif labels == "sign":
            y = rng.choice([-1.0, 1.0], (6, 4)).astype(np.float32)
        elif labels == "count":
            y = rng.integers(0, 6, (6, 4)).astype(np.float32)
        elif labels == "distribution":
            y = rng.dirichlet(np.ones(4), 6).astype(np.float32)
        else:
            y = normal(rng, 6, 4)
        weights = rng.uniform(0.0, 2.0, 6).astype(np.float32)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(z)
            output = keras.activations.get(ending)(z)
            plain = loss(y, output)
            # A loss of the whole batch is weighed by the mean of the weights.
            weighed = loss(y, output, sample_weight=weights)
        tensors = {"z": z, "labels": y, "weights": weights}
        tensors |= {"plain_loss": plain, "plain_d_z": tape.gradient(plain, z)}
        tensors |= {"weighed_loss": weighed, "weighed_d_z": tape.gradient(weighed, z)}
        described = keras.saving.serialize_keras_object(loss)
        # Keras 3.15.1 does not write the delta of a Huber loss.
        described["config"] |= {"delta": 0.7} if case == "huber" else {}
        group.add(case, {"ending": ending, "loss": described}, tensors)
    group.save()


def masked_losses():
    """Sequences of which masks leave out steps: what `evaluate` says in batches of 4 and 2, then three
    steps of SGD on all of them. Weights of examples are given to Keras as [N, 1], of steps as
    [N, T]."""
    group = Group("masked_losses")
    k, count, time = keras.layers, 6, 5

    def one(units, activation):
        x = keras.Input((time, 3))
        hidden = k.LSTM(4, return_sequences=True, use_cudnn=False)
        last = k.Dense(units, activation, kernel_regularizer=keras.regularizers.L2(0.01))
        return keras.Model(x, last(hidden(k.Masking()(x)))), [hidden, last]

    def plain():
        x = keras.Input((time, 3))
        hidden, last = k.SimpleRNN(4, return_sequences=True), k.Dense(4, "softmax")
        return keras.Model(x, last(hidden(x))), [hidden, last]

    def two():
        a, b = keras.Input((time,), dtype="int32"), keras.Input((time, 3))
        embedding = k.Embedding(7, 3, mask_zero=True)
        left = k.GRU(4, return_sequences=True, use_cudnn=False)
        right = k.SimpleRNN(4, return_sequences=True)
        tags, values = k.Dense(4, "softmax", name="tags"), k.Dense(2, name="values")
        outputs = [tags(left(embedding(a))), values(right(k.Masking()(b)))]
        return keras.Model([a, b], outputs), [embedding, left, right, tags, values]

    def holes(rng, case):
        """No step of the last example of a batch, and some of the others."""
        x = normal(rng, count, time, 3)
        there = rng.integers(0, 3, (count, time)) > 0
        there[3], there[0] = False, True
        if case == "nobody":
            there[:] = False
        return x if case.startswith("plain") else x * there[..., None]

    def labels(rng, loss, units):
        classes = rng.integers(0, units, (count, time)).astype(np.int32)
        if loss.startswith("sparse"):
            return classes
        if loss.startswith("categorical"):
            return np.eye(units, dtype=np.float32)[classes]
        if loss.startswith("binary"):
            return rng.integers(0, 2, (count, time, units)).astype(np.float32)
        return normal(rng, count, time, units)

    def weights(rng, kind):
        shape = {"examples": (count, 1), "steps": (count, time), "none": None}[kind]
        return None if shape is None else rng.uniform(0.2, 2.0, shape).astype(np.float32)

    sparse, categorical = "sparse_categorical_crossentropy", "categorical_crossentropy"
    binary = "binary_crossentropy"
    cases = [
        ("sparse", [(sparse, 4, "softmax", "none")]),
        ("sparse_examples", [(sparse, 4, "softmax", "examples")]),
        ("sparse_steps", [(sparse, 4, "softmax", "steps")]),
        ("categorical", [(categorical, 3, "softmax", "none")]),
        ("categorical_steps", [(categorical, 3, "softmax", "steps")]),
        ("binary", [(binary, 1, "sigmoid", "none")]),
        ("binary_steps", [(binary, 1, "sigmoid", "steps")]),
        ("binary_examples", [(binary, 3, "sigmoid", "examples")]),
        ("squared", [("mean_squared_error", 2, "linear", "none")]),
        ("squared_steps", [("mean_squared_error", 2, "linear", "steps")]),
        ("absolute_examples", [("mean_absolute_error", 2, "linear", "examples")]),
        ("huber_steps", [("huber", 2, "linear", "steps")]),
        ("nobody", [(sparse, 4, "softmax", "steps")]),
        ("plain_steps", [(sparse, 4, "softmax", "steps")]),
        ("plain_examples", [(sparse, 4, "softmax", "examples")]),
    ]
    for kinds in [("none", "none"), ("steps", "examples"), ("examples", "steps")]:
        ends = [(sparse, 4, "softmax", kinds[0]), ("mean_squared_error", 2, "linear", kinds[1])]
        cases.append(("two_" + "_".join(kinds), ends))
    for case, ends in cases:
        rng = group.rng(case)
        several = len(ends) > 1
        if several:
            model, layers = two()
        else:
            model, layers = plain() if case.startswith("plain") else one(*ends[0][1:3])
        drawn = [normal(rng, *v.shape, scale=0.6) for layer in layers for v in layer.weights]
        taken = iter(drawn)
        for layer in layers:
            layer.set_weights([next(taken) for _ in layer.weights])
        x = [holes(rng, case)]
        if several:
            tokens = rng.integers(0, 7, (count, time)).astype(np.int32)
            tokens[3, 1:] = 0
            x.insert(0, tokens)
        y = [labels(rng, loss, units) for loss, units, *_ in ends]
        w = [weights(rng, kind) for *_, kind in ends]
        if several and any(v is not None for v in w):
            w = [np.ones((count, 1), np.float32) if v is None else v for v in w]
        # Of several sigmoid units Keras takes "accuracy" for that of classes.
        kind = "binary_accuracy" if ends[0][0].startswith("binary") else "accuracy"
        asked = [kind] if ends[0][0].endswith("crossentropy") else []
        model.compile(
            optimizer=keras.optimizers.SGD(0.2),
            loss=[loss for loss, *_ in ends] if several else ends[0][0],
            loss_weights=[1.0, 0.5] if several else None,
            metrics=[asked, []] if several else asked,
        )
        given = (lambda all: all) if several else (lambda all: all[0])
        weighted = None if w[0] is None else given(w)
        told = (given(x), given(y))
        tensors = {f"w{i}": weight for i, weight in enumerate(drawn)}
        tensors |= {f"x{i}": v for i, v in enumerate(x)} | {f"y{i}": v for i, v in enumerate(y)}
        for i, v in enumerate(w):
            if v is not None:
                tensors[f"weights{i}"] = v[:, 0] if v.shape[1] == 1 else v

        def figures(logs):
            accuracy = [value for name, value in logs.items() if name.endswith("accuracy")]
            return [logs["loss"], *accuracy[:1], *([] if accuracy else [0.0])]

        settings = {"batch_size": 4, "sample_weight": weighted, "verbose": 0, "return_dict": True}
        tensors["evaluated"] = np.array(figures(model.evaluate(*told, **settings)))
        trained = []
        for _ in range(3):
            model.reset_metrics()
            trained.append(figures(model.train_on_batch(*told, weighted, return_dict=True)))
        tensors["trained"] = np.array(trained)
        after = [v.numpy() for layer in layers for v in layer.weights]
        tensors |= {f"after{i}": weight for i, weight in enumerate(after)}
        args = {"weights": len(drawn), "inputs": len(x), "ends": [list(end[:3]) for end in ends]}
        group.add(case, args, tensors)
    group.save()


def training():
    group = Group("training")
    held = {
        "kernel_regularizer": keras.regularizers.L2(0.02),
        "recurrent_regularizer": keras.regularizers.L1(0.01),
        "bias_regularizer": keras.regularizers.L1L2(0.01, 0.02),
        "activity_regularizer": keras.regularizers.L2(0.05),
        "kernel_constraint": keras.constraints.MaxNorm(0.8),
        "recurrent_constraint": keras.constraints.MinMaxNorm(0.6, 0.9, rate=0.7),
        "bias_constraint": keras.constraints.NonNeg(),
    }
    vocabulary, dim, units, batch, time, steps = 50, 8, 16, 8, 12, 10
    for case, layer_name, recurrent_activation in [
        ("lstm", "lstm", "sigmoid"),
        ("simple_rnn", "simple_rnn", None),
        ("lstm_hard_sigmoid_2018", "lstm", "hard_sigmoid_2018"),
        ("lstm_regularized", "lstm", "sigmoid"),
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
                **(held if case == "lstm_regularized" else {}),
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
                keras.layers.Dense(
                    1,
                    activation="sigmoid",
                    kernel_constraint="unit_norm" if case == "lstm_regularized" else None,
                ),
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
                loss = loss_of(y, model(x, training=True)) + sum(model.losses)
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


def functional():
    """Models that are no stack: outputs with the first weights, then three steps of SGD."""
    group = Group("functional")
    k = keras.layers

    def branches():
        a, b = keras.Input((5, 3)), keras.Input((5, 4))
        left, right = k.LSTM(4, return_sequences=True), k.GRU(4, return_sequences=True)
        x, y = left(a), right(b)
        merged = [layer()([x, y]) for layer in (k.Add, k.Multiply, k.Average, k.Subtract)]
        features = k.Concatenate()(merged)
        steps = k.Concatenate(axis=1)([features, features])
        last = k.Dense(3)
        return keras.Model([a, b], last(k.Flatten()(steps))), [left, right, last]

    def encoder_decoder():
        a, b = keras.Input((5, 3)), keras.Input((4, 2))
        encoder = k.LSTM(4, return_state=True)
        decoder = k.LSTM(4, return_sequences=True)
        last = k.Dense(2)
        read, h, c = encoder(a)
        told = last(decoder(b, initial_state=[h, c]))
        return keras.Model([a, b], [told, read]), [encoder, decoder, last]

    def siamese():
        a, b = keras.Input((5, 3)), keras.Input((5, 3))
        shared, last = k.SimpleRNN(4), k.Dense(1)
        difference = k.Subtract()([shared(a), shared(b)])
        return keras.Model([a, b], last(difference)), [shared, last]

    def pictures():
        a = keras.Input((4, 6, 2))
        conv = k.Conv2D(3, 3, padding="same", activation="tanh")
        first = conv(a)
        small = k.MaxPooling2D(2)(first)
        large = k.UpSampling2D((2, 2))(small)
        both = k.Concatenate()([first, large])
        turned = k.Reshape((8, -1))(both)
        film = k.Reshape((2, 4, 3, 6))(turned)
        state = k.ConvLSTM2D(2, 3, padding="same", return_state=True)
        going, h, c = state(film)
        again = k.ConvLSTM2D(2, 3, padding="same", return_sequences=True)
        frames = again(film, initial_state=[h, c])
        enlarged = k.UpSampling3D((1, 2, 1))(frames)
        return keras.Model(a, [enlarged, going]), [conv, state, again]

    for build in (branches, encoder_decoder, siamese, pictures):
        case = build.__name__
        rng = group.rng(case)
        model, layers = build()
        tensors, count = {}, 0
        for layer in layers:
            weights = [normal(rng, *v.shape, scale=0.4) for v in layer.trainable_variables]
            layer.set_weights(weights)
            for weight in weights:
                tensors[f"w{count}"] = weight
                count += 1
        x = [normal(rng, 3, *i.shape[1:]) for i in model.inputs]
        outputs = model(x)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        y = [normal(rng, *o.shape) for o in outputs]
        tensors |= {f"x{i}": v for i, v in enumerate(x)} | {f"y{i}": v for i, v in enumerate(y)}
        tensors |= {f"output{i}": v for i, v in enumerate(outputs)}
        optimizer, loss_of = keras.optimizers.SGD(0.1), keras.losses.MeanSquaredError()
        losses = []
        for _ in range(3):
            with tf.GradientTape() as tape:
                outputs = model(x, training=True)
                outputs = outputs if isinstance(outputs, list) else [outputs]
                terms = zip((1.0, 0.5), y, outputs)
                loss = sum(factor * loss_of(wanted, got) for factor, wanted, got in terms)
            losses.append(loss.numpy())
            gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
            optimizer.apply(gradients, model.trainable_variables)
        tensors["losses"] = np.array(losses)
        args = {"weights": count, "inputs": len(x), "outputs": len(outputs)}
        group.add(case, args, tensors)
    group.save()


def next_frame():
    """Ten losses of the next-frame model in small, with Keras 2's gates and Adadelta of 2018."""
    group = Group("next_frame")
    filters, batch, frames, size, steps = 4, 2, 4, 8, 10
    rng = group.rng("reduced")
    k = keras.layers
    recurrent = {
        "padding": "same",
        "return_sequences": True,
        "recurrent_activation": hard_sigmoid_2018,
    }
    stack = []
    for _ in range(4):
        stack += [k.ConvLSTM2D(filters, 3, **recurrent), k.BatchNormalization()]
    model = keras.Sequential([*stack, k.Conv3D(1, 3, padding="same", activation="sigmoid")])
    model.build((batch, frames, size, size, 1))
    tensors, count = {}, 0
    for layer in model.layers:
        weights = layer.get_weights()
        if not isinstance(layer, k.BatchNormalization):
            weights = [normal(rng, *w.shape, scale=0.25) for w in weights]
            layer.set_weights(weights)
        for weight in weights:
            tensors[f"w{count}"] = weight
            count += 1
    optimizer = keras.optimizers.Adadelta(1.0, rho=0.95)
    loss_of, losses = keras.losses.BinaryCrossentropy(), []
    for step in range(steps):
        shape = (batch, frames, size, size, 1)
        y = tensors[f"y{step}"] = rng.integers(0, 2, shape).astype(np.float32)
        x = tensors[f"x{step}"] = np.roll(y, 1, axis=2) + normal(rng, *shape, scale=0.1)
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        losses.append(loss.numpy())
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        optimizer.apply(gradients, model.trainable_variables)
    tensors["losses"] = np.array(losses)
    group.add("reduced", {"filters": filters, "weights": count, "steps": steps}, tensors)
    group.save()


if __name__ == "__main__":
    for write in (
        embedding,
        dense,
        simple_rnn,
        lstm,
        gru,
        conv1d,
        conv2d_and_conv3d,
        conv_lstm,
        pooling,
        layer_normalization,
        batch_normalization,
        bidirectional,
        time_distributed,
        repeat_vector,
        permute,
        activations,
        activation_layers,
        masking,
        stateful,
        stateful_fit,
        optimizers,
        schedules,
        bce,
        losses,
        masked_losses,
        metrics,
        training,
        functional,
        next_frame,
    ):
        write()

"""arguments.py FILE: every argument of every layer that there is here, as Keras has it.

For each argument of a layer's constructor there is a case with a value that is not the default: the
model, its weights, and what Keras makes of it: predictions, the loss with regularizers, and the
weights after two steps of SGD, all of them for one input. `crates/rnn-gpu/tests/arguments.rs` reads
the file and expects of each case the same numbers, or a refusal that names the argument.

The file, tests/interchange/files/arguments.json, was written by Keras 3.15.1 on TensorFlow 2.21.
"""

import inspect
import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

ROWS = 4
SEED = 17

STEPS, FEATURES = (5, 3), (3,)
IMAGE, VOLUME = (5, 4, 2), (4, 4, 3, 2)

# The shape of an example, and arguments that a layer cannot be without.
LAYERS = {
    "Activation": (FEATURES, {"activation": "tanh"}),
    "ActivityRegularization": (STEPS, {}),
    "AdditiveAttention": (STEPS, {}),
    "Attention": (STEPS, {}),
    "MultiHeadAttention": (STEPS, {"num_heads": 2, "key_dim": 2}),
    "Add": (STEPS, {}),
    "AlphaDropout": (FEATURES, {"rate": 0.0}),
    "Average": (STEPS, {}),
    "AveragePooling1D": ((7, 2), {"pool_size": 2}),
    "AveragePooling2D": (IMAGE, {"pool_size": 2}),
    "AveragePooling3D": (VOLUME, {"pool_size": 2}),
    "BatchNormalization": (STEPS, {}),
    "Bidirectional": (STEPS, {"layer": ("LSTM", {"units": 2, "return_sequences": True})}),
    "Concatenate": (STEPS, {}),
    "Conv1D": ((7, 2), {"filters": 2, "kernel_size": 2}),
    "Conv1DTranspose": ((7, 2), {"filters": 2, "kernel_size": 2}),
    "Conv2D": (IMAGE, {"filters": 2, "kernel_size": 2}),
    "Conv2DTranspose": (IMAGE, {"filters": 2, "kernel_size": 2}),
    "Conv3D": (VOLUME, {"filters": 2, "kernel_size": 2}),
    "Conv3DTranspose": (VOLUME, {"filters": 2, "kernel_size": 2}),
    "ConvLSTM1D": ((3, 5, 2), {"filters": 2, "kernel_size": 2}),
    "ConvLSTM2D": ((3, 5, 4, 2), {"filters": 2, "kernel_size": 2}),
    "ConvLSTM3D": ((2, 4, 4, 3, 1), {"filters": 1, "kernel_size": 2}),
    "Cropping1D": ((7, 2), {}),
    "Cropping2D": (IMAGE, {}),
    "Cropping3D": (VOLUME, {}),
    "Dense": (FEATURES, {"units": 2}),
    "DepthwiseConv1D": ((7, 2), {"kernel_size": 2}),
    "DepthwiseConv2D": (IMAGE, {"kernel_size": 2}),
    "Dot": (STEPS, {"axes": 2}),
    "Dropout": (FEATURES, {"rate": 0.0}),
    "ELU": (FEATURES, {}),
    "EinsumDense": (
        STEPS,
        {"equation": "abc,cd->abd", "output_shape": (5, 2), "bias_axes": "d"},
    ),
    "Embedding": ((5,), {"input_dim": 6, "output_dim": 2}),
    "Flatten": (IMAGE, {}),
    "GRU": (STEPS, {"units": 2}),
    "GaussianDropout": (FEATURES, {"rate": 0.0}),
    "GaussianNoise": (FEATURES, {"stddev": 0.0}),
    "GlobalAveragePooling1D": (STEPS, {}),
    "GlobalAveragePooling2D": (IMAGE, {}),
    "GlobalAveragePooling3D": (VOLUME, {}),
    "GlobalMaxPooling1D": (STEPS, {}),
    "GlobalMaxPooling2D": (IMAGE, {}),
    "GlobalMaxPooling3D": (VOLUME, {}),
    "GroupNormalization": (IMAGE, {"groups": 1}),
    "Identity": (STEPS, {}),
    "LSTM": (STEPS, {"units": 2}),
    "LayerNormalization": (STEPS, {}),
    "LeakyReLU": (FEATURES, {}),
    "Masking": (STEPS, {}),
    "MaxPooling1D": ((7, 2), {"pool_size": 2}),
    "MaxPooling2D": (IMAGE, {"pool_size": 2}),
    "MaxPooling3D": (VOLUME, {"pool_size": 2}),
    "Maximum": (STEPS, {}),
    "Minimum": (STEPS, {}),
    "Multiply": (STEPS, {}),
    "Normalization": (STEPS, {}),
    "PReLU": (STEPS, {}),
    "Permute": (STEPS, {"dims": (2, 1)}),
    "RNN": (STEPS, {"cell": ("LSTMCell", {"units": 2})}),
    "ReLU": (FEATURES, {}),
    "RepeatVector": (FEATURES, {"n": 2}),
    "Rescaling": (STEPS, {"scale": 0.5}),
    "Reshape": (STEPS, {"target_shape": (3, 5)}),
    "SeparableConv1D": ((7, 2), {"filters": 2, "kernel_size": 2}),
    "SeparableConv2D": (IMAGE, {"filters": 2, "kernel_size": 2}),
    "SimpleRNN": (STEPS, {"units": 2}),
    "Softmax": (STEPS, {}),
    "SpatialDropout1D": (STEPS, {"rate": 0.0}),
    "SpatialDropout2D": (IMAGE, {"rate": 0.0}),
    "SpatialDropout3D": (VOLUME, {"rate": 0.0}),
    "Subtract": (STEPS, {}),
    "TimeDistributed": (STEPS, {"layer": ("Dense", {"units": 2})}),
    "UnitNormalization": (STEPS, {}),
    "UpSampling1D": (STEPS, {}),
    "UpSampling2D": (IMAGE, {}),
    "UpSampling3D": (VOLUME, {}),
    "ZeroPadding1D": (STEPS, {}),
    "ZeroPadding2D": (IMAGE, {}),
    "ZeroPadding3D": (VOLUME, {}),
}
MERGING = {
    "AdditiveAttention",
    "Attention",
    "Add",
    "Average",
    "Concatenate",
    "Dot",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
}

# Each tensor is an argument of its own.
SEPARATING = {"MultiHeadAttention"}

# Behind these stands a layer that skips masked steps.
MASKS = {"Masking": {}, "Embedding": {"mask_zero": True}}

initializer = {"class_name": "Constant", "config": {"value": 0.25}}
other_initializer = {"class_name": "RandomUniform", "config": {"minval": 0.5, "maxval": 0.5000001}}

# Of each argument values that are not its default; by layer and name, or by name alone.
VALUES = {
    "activation": ["relu", "gelu", "softplus"],
    "recurrent_activation": ["hard_sigmoid", "elu"],
    "use_bias": [False],
    "units": [3],
    "filters": [3],
    "kernel_size": [1, 3],
    "pool_size": [1, 3],
    "size": [3],
    "strides": [2],
    "Pooling.strides": [1],
    "padding": ["same", "causal"],
    "ZeroPadding1D.padding": [2, (0, 2)],
    "ZeroPadding2D.padding": [2, (0, 1), ((1, 0), (0, 2))],
    "ZeroPadding3D.padding": [2, (0, 1, 2), ((1, 0), (0, 0), (0, 2))],
    "Cropping1D.cropping": [2, (0, 2)],
    "Cropping2D.cropping": [1, (0, 1), ((1, 0), (0, 2))],
    "Cropping3D.cropping": [0, (1, 1, 0), ((1, 0), (0, 0), (0, 2))],
    "dilation_rate": [2],
    "groups": [2],
    "depth_multiplier": [2],
    "output_padding": [1],
    "data_format": ["channels_first"],
    "interpolation": ["bilinear"],
    "kernel_regularizer": ["l2", {"class_name": "OrthogonalRegularizer", "config": {"factor": 0.1}}],
    "activity_regularizer": [{"class_name": "L1", "config": {"l1": 0.1}}],
    "kernel_constraint": ["non_neg", {"class_name": "MaxNorm", "config": {"max_value": 0.3, "axis": 1}}],
    "return_sequences": [True],
    "return_state": [True],
    "go_backwards": [True],
    "stateful": [True],
    "unroll": [True],
    "zero_output_for_mask": [True],
    "reset_after": [False],
    "unit_forget_bias": [False],
    "use_cudnn": [False, True],
    "dropout": [0.5],
    "recurrent_dropout": [0.5],
    "rate": [0.5],
    "seed": [3],
    "noise_shape": [(None, 1)],
    "stddev": [0.5],
    "l1": [0.1],
    "l2": [0.1],
    "axes": [1, (1, 1)],
    "normalize": [True],
    "Rescaling.scale": [2.0, [0.5, 2.0, 1.0]],
    "offset": [1.0, [0.5, 2.0, 1.0]],
    "Normalization.axis": [1, None, (1, 2)],
    "mean": [0.5],
    "variance": [0.5],
    "invert": [True],
    "cell": [("GRUCell", {"units": 2}), ("SimpleRNNCell", {"units": 3})],
    "axis": [1],
    "Softmax.axis": [1, (1, 2)],
    "LayerNormalization.axis": [1, (1, 2)],
    "UnitNormalization.axis": [1, (1, 2)],
    "GroupNormalization.groups": [-1, 2],
    "GroupNormalization.axis": [2],
    "Concatenate.axis": [1],
    "alpha": [0.5],
    "max_value": [0.5],
    "negative_slope": [0.2],
    "threshold": [0.25],
    "shared_axes": [[1], [1, 2]],
    "momentum": [0.5],
    "epsilon": [0.1],
    "center": [False],
    "scale": [False],
    "rms_scaling": [True],
    "synchronized": [True],
    "renorm": [True],
    "renorm_clipping": [{"rmax": 2.0}],
    "renorm_momentum": [0.5],
    "mask_value": [0.5],
    "mask_zero": [False],
    "input_dim": [7],
    "output_dim": [3],
    "equation": ["abc,dc->abd"],
    "EinsumDense.output_shape": [(5, 3)],
    "bias_axes": [None, "b", "bd"],
    "gptq_unpacked_column_size": [],
    "score_mode": ["concat"],
    "use_scale": [True],
    "AdditiveAttention.use_scale": [False],
    "num_heads": [3],
    "key_dim": [3],
    "value_dim": [3],
    "output_shape": [4, (2, 2)],
    "attention_axes": [],
    "sliding_window": [2],
    "flash_attention": [],
    "use_gate": [True],
    "lora_rank": [1],
    "lora_alpha": [2],
    "quantization_config": [],
    "weights": [],
    "target_shape": [(15,)],
    "dims": [(1, 2)],
    "n": [3],
    "keepdims": [True],
    "merge_mode": ["sum", "mul", "ave", None],
    "backward_layer": [("GRU", {"units": 2, "return_sequences": True, "go_backwards": True})],
    "Bidirectional.layer": [("GRU", {"units": 2, "return_sequences": True})],
    "TimeDistributed.layer": [("Dense", {"units": 3, "activation": "relu"})],
    # Those of every layer.
    "trainable": [False],
    "dtype": ["float64", "mixed_float16", "float16"],
    "autocast": [False],
    "name": ["another"],
}
COMMON = ["activity_regularizer", "trainable", "dtype", "autocast", "name"]


def values(name, argument):
    if f"{name}.{argument}" in VALUES:
        return VALUES[f"{name}.{argument}"]
    if "Pooling" in name and argument == "strides":
        return VALUES["Pooling.strides"]
    if argument.endswith("_initializer"):
        return [initializer, other_initializer]
    if argument in VALUES:
        return VALUES[argument]
    for end in ("_regularizer", "_constraint"):
        if argument.endswith(end):
            return VALUES["kernel" + end]
    raise SystemExit(f"{name}: no value for the argument {argument}")


def arguments(layer):
    """Those of the layer's own constructor, then those of every layer."""
    own = inspect.signature(vars(layer).get("__init__", lambda: None)).parameters.values()
    names = [p.name for p in own if p.kind == p.POSITIONAL_OR_KEYWORD and p.name != "self"]
    return list(dict.fromkeys(names + COMMON))


def made(value):
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
        return getattr(keras.layers, value[0])(**value[1])
    if isinstance(value, dict):
        for kind in (keras.initializers, keras.regularizers, keras.constraints):
            if hasattr(kind, value["class_name"]):
                return getattr(kind, value["class_name"])(**value["config"])
    return value


def build(name, given):
    keras.utils.set_random_seed(SEED)
    shape, needed = LAYERS[name]
    given = {k: made(v) for k, v in {**needed, **MASKS.get(name, {}), **given}.items()}
    if "dropout" in given or "recurrent_dropout" in given:
        given.setdefault("seed", 1)
    batch = ROWS if given.get("stateful") else None
    x = keras.Input(shape, batch_size=batch, name="x")
    layer = getattr(keras.layers, name)(**given)
    takes_mask = "zero_output_for_mask" in given
    if name in MERGING:
        y = layer([x, keras.layers.Dense(shape[-1], name="other")(x)])
    elif name in SEPARATING:
        y = layer(x, x)
    elif takes_mask:
        y = layer(keras.layers.Masking(name="masking")(x))
    else:
        y = layer(x)
    outputs = list(y) if isinstance(y, (list, tuple)) else [y]
    if name in MASKS:
        # A stack does not spell out where masks come from.
        return keras.Sequential([x, layer, keras.layers.LSTM(2, name="behind")])
    return keras.Model(x, outputs)


def data(name):
    rng = np.random.default_rng(SEED)
    shape, _ = LAYERS[name]
    if name == "Embedding":
        return rng.integers(0, 6, (ROWS, *shape)).astype("int32")
    x = rng.uniform(-1, 1, (ROWS, *shape)).round(2).astype("float32")
    if len(shape) > 1:
        # Steps to be masked: those of mask_value, and those of its default.
        x[0, -1], x[1, -2:], x[2, -1] = 0.0, 0.0, 0.5
    return x


def reset(model):
    """Each of the numbers is of a model that has seen nothing before."""
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()


def slim(config):
    """A description without what says where classes are and what built them."""
    if isinstance(config, dict):
        idle = ("module", "registered_name", "build_config")
        return {k: slim(v) for k, v in config.items() if k not in idle}
    return [slim(v) for v in config] if isinstance(config, list) else config


def plain(array):
    array = np.asarray(array)
    if array.dtype.kind == "f":
        return {"shape": list(array.shape), "values": [float(f"{v:.8g}") for v in array.ravel()]}
    return {"shape": list(array.shape), "values": array.ravel().tolist()}


def case(name, argument, value):
    """What Keras makes of a layer with this argument; how it refuses it, where it does."""
    given = {} if argument is None else {argument: value}
    described = {"layer": name, "argument": argument, "value": shown(value)}
    try:
        model = build(name, given)
        x = data(name)
        rng = np.random.default_rng(SEED)
        first = [w.numpy() for w in model.weights]
        if argument != "unit_forget_bias" and not (argument or "").endswith("_initializer"):
            drawn = [rng.uniform(-0.8, 0.8, w.shape).round(2).astype("float32") for w in first]
            drawn = [np.abs(d) + 0.5 if "variance" in w.path else d for d, w in zip(drawn, model.weights)]
            model.set_weights(drawn)
            for layer in model.layers:
                if isinstance(layer, keras.layers.Normalization):
                    layer.finalize_state()  # It computes with copies.
        weights = [w.numpy() for w in model.weights]
        outputs = model(x, training=False)
        reset(model)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        labels = [rng.uniform(-1, 1, tuple(o.shape)).round(2).astype("float32") for o in outputs]
        model.compile(optimizer=keras.optimizers.SGD(0.5), loss=["mse"] * len(outputs))
        config = slim({k: v for k, v in json.loads(model.to_json()).items() if k != "compile_config"})
        loss = model.evaluate(x, labels, verbose=0, batch_size=ROWS)
        reset(model)
        loss = float(loss[0] if isinstance(loss, list) else loss)
        if not np.isfinite(loss):
            # As of UnitNormalization in half precision, whose least norm is beyond its range.
            raise ValueError("the loss is not finite")
        random = argument in ("dropout", "recurrent_dropout", "rate", "noise_shape", "seed", "stddev")
        after = None
        if not random:
            for _ in range(2):
                model.train_on_batch(x, labels)
            after = [plain(w.numpy()) for w in model.weights]
    except Exception as error:
        return {**described, "keras": str(error).splitlines()[0][:120]}
    return {
        **described,
        "model": config,
        "names": [w.path for w in model.weights],
        "x": plain(x),
        "weights": [plain(w) for w in weights],
        "outputs": [plain(o) for o in outputs],
        "labels": [plain(y) for y in labels],
        "loss": float(f"{loss:.8g}"),
        "after": after,
    }


def shown(value):
    return json.loads(json.dumps(value, default=str))


def without_repetition(cases):
    """Of each case what differs from the layer with its defaults, which stands before it."""
    default = None
    for case in cases:
        if case["argument"] is None:
            default = case
            yield case
        else:
            yield {k: v for k, v in case.items() if k not in default or default[k] != v}


def main(path):
    # Hundreds of models that run once are not worth tracing.
    tf.config.run_functions_eagerly(True)
    cases = []
    for name in LAYERS:
        cases.append(case(name, None, None))
        assert "keras" not in cases[-1], cases[-1]
        for argument in arguments(getattr(keras.layers, name)):
            for value in values(name, argument):
                cases.append(case(name, argument, value))
    lines = [json.dumps(c, separators=(",", ":")) for c in without_repetition(cases)]
    text = json.dumps(keras.__version__)
    with open(path, "w") as file:
        file.write('{"keras":' + text + ',"cases":[\n' + ",\n".join(lines) + "\n]}\n")
    refused = sum("keras" in c for c in cases)
    print(f"{len(cases)} cases of {len(LAYERS)} layers, of which Keras refuses {refused}")


if __name__ == "__main__":
    main(sys.argv[1])

"""models.py FOLDER: writes models of every supported layer, with arguments that are no defaults, as
NAME.keras and NAME.h5, beside NAME.npz: what each is fed, and what Keras makes of it.
models.py FOLDER check: Keras predicts the same from NAME.ours.keras and NAME.ours.h5.
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

FOLDER = pathlib.Path(sys.argv[1])


def stack(shape, *layers, dtype="float32"):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


def stacks():
    tokens = lambda *layers: stack((6,), L.Embedding(9, 4), *layers, dtype="int32")
    masked = lambda *layers: stack(
        (6,), L.Embedding(9, 4, mask_zero=True), *layers, dtype="int32"
    )
    steps = lambda *layers: stack((6, 3), *layers)
    pictures = lambda *layers: stack((6, 7, 2), *layers)
    films = lambda *layers: stack((4, 6, 5, 2), *layers)
    gates = dict(activation="relu", recurrent_activation="hard_sigmoid")
    yield "embedding", tokens()
    yield "lstm", tokens(L.LSTM(5, **gates, return_sequences=True, go_backwards=True))
    yield "lstm_masked", masked(L.LSTM(5, use_bias=False, dropout=0.1, recurrent_dropout=0.2))
    yield "gru", steps(L.GRU(5, reset_after=False, **gates))
    yield "gru_reset_after", steps(L.GRU(4, return_sequences=True, go_backwards=True))
    yield "simple_rnn", masked(L.SimpleRNN(5, activation="sigmoid", return_sequences=True))
    for mode in ["concat", "sum", "mul", "ave"]:
        inner = L.GRU(4, return_sequences=mode != "sum")
        yield f"bidirectional_{mode}", masked(L.Bidirectional(inner, merge_mode=mode))
    other = L.LSTM(3, activation="relu", go_backwards=True, return_sequences=True)
    both = L.Bidirectional(L.LSTM(3, return_sequences=True), backward_layer=other)
    yield "bidirectional_backward", steps(both)
    narrow = L.GRU(2, use_bias=False, go_backwards=True)
    yield "bidirectional_uneven", steps(L.Bidirectional(L.GRU(4), backward_layer=narrow))
    yield "dense", stack((5,), L.Dense(4, "relu", use_bias=False), L.Dense(3, "softmax"))
    yield "time_distributed", stack(
        (4, 6, 2), L.TimeDistributed(L.Conv1D(3, 2, activation="tanh"))
    )
    yield "conv1d", steps(L.Conv1D(4, 2, padding="causal", dilation_rate=2, activation="relu"))
    yield "conv2d", pictures(L.Conv2D(3, (2, 3), (1, 2), padding="same", use_bias=False))
    yield "conv3d", films(L.Conv3D(3, (2, 3, 2), (2, 1, 1), activation="sigmoid"))
    yield "conv_groups", pictures(
        L.Conv2D(6, 2, groups=2, padding="same"), L.TimeDistributed(L.Conv1D(3, 2, groups=3))
    )
    yield "depthwise_conv1d", steps(L.DepthwiseConv1D(2, depth_multiplier=2, activation="relu"))
    yield "depthwise_conv2d", pictures(L.DepthwiseConv2D((2, 3), padding="same", use_bias=False))
    yield "separable_conv1d", steps(L.SeparableConv1D(4, 3, strides=2, padding="same"))
    yield "separable_conv2d", pictures(L.SeparableConv2D(3, 2, depth_multiplier=2, activation="tanh"))
    yield "conv1d_transpose", steps(L.Conv1DTranspose(4, 3, strides=2, padding="same"))
    yield "conv2d_transpose", pictures(
        L.Conv2DTranspose(3, (2, 3), (2, 2), output_padding=(1, 0), use_bias=False)
    )
    yield "conv3d_transpose", films(L.Conv3DTranspose(2, 2, (1, 2, 2), activation="sigmoid"))
    yield "conv_lstm1d", stack((4, 6, 2), L.ConvLSTM1D(3, 2, strides=2, **gates))
    yield "conv_lstm2d", films(
        L.ConvLSTM2D(3, (2, 3), padding="same", return_sequences=True, go_backwards=True)
    )
    yield "conv_lstm3d", stack((3, 4, 4, 3, 2), L.ConvLSTM3D(2, 2, unit_forget_bias=False))
    for kind in ["Max", "Average"]:
        pool = lambda n: getattr(L, f"{kind}Pooling{n}D")
        whole = lambda n: getattr(L, f"Global{kind}Pooling{n}D")
        yield f"{kind.lower()}_pooling1d", steps(pool(1)(3, 2, padding="same"))
        yield f"{kind.lower()}_pooling2d", pictures(pool(2)((2, 3), strides=(1, 2)))
        yield f"{kind.lower()}_pooling3d", films(pool(3)(2, padding="same"))
        yield f"global_{kind.lower()}_pooling1d", steps(whole(1)())
        yield f"global_{kind.lower()}_pooling2d", pictures(whole(2)())
        yield f"global_{kind.lower()}_pooling3d", films(whole(3)())
    units = L.EinsumDense("...x,xy->...y", output_shape=4, bias_axes="y", activation="relu")
    heads = L.EinsumDense("abc,cde->adbe", output_shape=(2, None, 3), bias_axes="de")
    yield "einsum_dense", steps(units, heads)
    yield "masked_mean", masked(L.GlobalAveragePooling1D())
    yield "batch_normalization", pictures(
        L.BatchNormalization(epsilon=0.01, scale=False), L.BatchNormalization(center=False)
    )
    yield "layer_normalization", steps(
        L.LayerNormalization(epsilon=0.01, center=False), L.LayerNormalization(scale=False)
    )
    yield "normalizations", pictures(
        L.LayerNormalization(axis=[1, 3]),
        L.BatchNormalization(axis=1),
        L.GroupNormalization(7, axis=2, scale=False),
        L.GroupNormalization(-1, epsilon=0.01),
        L.UnitNormalization(axis=(1, 2)),
        L.Softmax(axis=(2, 3)),
        L.LayerNormalization(rms_scaling=True),
    )
    yield "dropouts", steps(L.Dropout(0.3), L.SpatialDropout1D(0.2), L.Activation("tanh"))
    yield "masking", steps(L.Masking(1.0), L.GRU(3))
    yield "shapes", pictures(
        L.UpSampling2D((2, 1)), L.Reshape((3, -1)), L.UpSampling1D(2), L.Softmax(), L.Flatten()
    )
    yield "repeat_vector", steps(L.GRU(3), L.RepeatVector(4), L.LSTM(2, return_sequences=True))
    yield "permute", pictures(L.Permute((3, 1, 2)), L.TimeDistributed(L.Permute((2, 1))))
    yield "activations", stack(
        (6,), *(L.Dense(6, name) for name in ("elu", "selu", "celu", "gelu", "silu", "hard_silu", "mish")),
        *(L.Dense(6, name) for name in ("softplus", "softsign", "leaky_relu", "relu6", "hard_tanh")),
        L.Dense(6, "exponential"), L.Dense(6, "log_softmax"),
    )
    yield "gates", steps(
        L.LSTM(4, activation="gelu", recurrent_activation="silu", return_sequences=True),
        L.GRU(4, activation="softsign", recurrent_activation="mish", return_sequences=True),
        L.SimpleRNN(3, activation="hard_silu"),
    )
    yield "rectifiers", pictures(
        L.ReLU(2.0, 0.1, 0.25), L.LeakyReLU(0.2), L.ELU(1.5), L.PReLU(shared_axes=[1, 2]), L.PReLU(),
        L.Softmax(axis=1),
    )
    yield "up_sampling2d_bilinear", pictures(L.UpSampling2D((2, 3), interpolation="bilinear"))
    yield "up_sampling3d", films(L.UpSampling3D((1, 2, 2)))
    yield "margins", pictures(L.ZeroPadding2D(((1, 0), (2, 1))), L.Cropping2D(((0, 2), (1, 0))))
    yield "margins3d", films(L.ZeroPadding3D(1), L.Cropping3D((0, 1, 2)))
    yield "margins1d", steps(L.ZeroPadding1D((0, 2)), L.Cropping1D((1, 0)), L.GRU(2))
    keep = dict(keepdims=True)
    yield "pooling_keepdims", pictures(L.GlobalMaxPooling2D(**keep), L.GlobalAveragePooling2D(**keep))
    yield "noises", pictures(
        L.GaussianNoise(0.3),
        L.GaussianDropout(0.2),
        L.AlphaDropout(0.1, noise_shape=(None, 1, None, 2)),
        L.SpatialDropout2D(0.2),
        L.Dropout(0.5, noise_shape=(None, 1, 1, None)),
        L.Identity(),
        L.ActivityRegularization(0.1, 0.2),
    )
    yield "scaling", steps(
        L.Rescaling(0.5, [0.0, 1.0, 2.0]),
        L.Normalization(),
        L.Normalization(axis=1, invert=True),
        L.Normalization(mean=[0.5, 1.0, -1.0], variance=[1.0, 2.0, 0.5]),
    )
    yield "rnn_cells", masked(
        L.RNN(L.LSTMCell(3, unit_forget_bias=False), return_sequences=True, zero_output_for_mask=True),
        L.RNN(L.GRUCell(2, dropout=0.1), go_backwards=True, return_sequences=True),
        L.RNN([L.LSTMCell(3), L.GRUCell(2), L.LSTMCell(3)], return_sequences=True),
        L.RNN(L.SimpleRNNCell(2, use_bias=False)),
    )
    frozen = L.Dense(3, trainable=False)
    yield "frozen", stack((5,), frozen, L.BatchNormalization(trainable=False))


def functional():
    words = keras.Input((None,), dtype="int32", name="words")
    steps = keras.Input((5, 2), name="steps")
    embedded = L.Embedding(9, 4, mask_zero=True)(words)
    sequence, h, c = L.LSTM(3, return_sequences=True, return_state=True)(embedded)
    decoded = L.LSTM(3)(L.Masking(0.0)(steps), initial_state=[h, c])
    shared = L.Dense(3, "tanh")
    one, other = shared(decoded), shared(L.GlobalAveragePooling1D()(sequence))
    ends = [L.Add()([one, other]), L.Subtract()([one, other])]
    yield "branches", keras.Model([words, steps], [*ends, L.Multiply()([one, h])])
    # Several outputs of one layer, a layer that is called twice, a tensor that is listed twice, and
    # the input itself.
    x = keras.Input((5, 2), name="x")
    y, h, c = L.LSTM(3, return_sequences=True, return_state=True, name="dec")(x)
    twice = L.Bidirectional(L.GRU(2), name="twice")
    outputs = [y, h, c, twice(y), twice(L.Activation("tanh")(y)), h, x]
    yield "several_outputs", keras.Model(x, outputs)
    # Two layers of a class at different depths, described in the other order.
    a = keras.Input((4,), name="a")
    late = L.Dense(3, "relu", name="late")
    early = L.Dense(4, "tanh", name="early")
    b = keras.Input((4,), name="b")
    right = L.Dense(3, "sigmoid", name="right")(b)
    left = late(early(a))
    merged = L.Concatenate(axis=1)([left, right, L.Average()([left, right])])
    yield "depths", keras.Model([a, b], L.Dense(2, name="end")(merged))


    read = L.Bidirectional(L.LSTM(3, return_sequences=True, return_state=True))
    told = L.Bidirectional(L.LSTM(3), merge_mode="mul")
    apart = L.Bidirectional(L.GRU(2, return_sequences=True, return_state=True), merge_mode=None)
    yield "directions_apart", keras.Model(steps, list(apart(steps)))
    yield "directions_last", keras.Model(
        steps, L.Concatenate()(L.Bidirectional(L.LSTM(2), merge_mode=None)(L.Masking(0.0)(steps)))
    )
    sequence, *states = read(steps)
    yield "directions", keras.Model(steps, [sequence, *states, told(steps, initial_state=states)])
    a, b = keras.Input((4, 3)), keras.Input((5, 3))
    scores = L.Dot((2, 2), normalize=True)([a, b])
    yield "dots", keras.Model([a, b], [L.Dot((2, 1))([scores, b]), L.Dot(-1)([a, a])])


def attention():
    a, b = [keras.Input((n,), dtype="int32", name=name) for n, name in [(6, "a"), (5, "b")]]
    words = lambda tokens, mask: L.Embedding(9, 4, mask_zero=mask)(tokens)
    for name, mask in [("", False), ("_masked", True)]:
        read = L.LSTM(4, return_sequences=True)(words(a, mask))
        decoded = L.GRU(4, return_sequences=True)(words(b, mask))
        dot = L.Attention(use_scale=True, score_mode="concat", dropout=0.2)([decoded, read])
        scored = L.AdditiveAttention()([dot, read, read], return_attention_scores=True)
        causal = L.Attention()([decoded, decoded], use_causal_mask=True)
        ends = [L.Concatenate()([decoded, dot, causal]), *scored]
        yield f"attention{name}", keras.Model([a, b], ends)
        own = L.MultiHeadAttention(2, 3, dropout=0.1)(read, read)
        both = L.MultiHeadAttention(3, 2, value_dim=4, output_shape=5, use_bias=False)
        other = both(decoded, own, key=read, use_causal_mask=True)
        wide = L.MultiHeadAttention(2, 2, output_shape=(2, 3))
        scored = wide(other, own, return_attention_scores=True)
        yield f"attention_heads{name}", keras.Model([a, b], [L.LSTM(3)(other), own, *scored])
        x = words(a, mask)
        for _ in range(2):
            y = L.MultiHeadAttention(2, 2)(x, x, use_causal_mask=mask)
            x = L.LayerNormalization()(L.Add()([x, y]))
            x = L.LayerNormalization()(L.Add()([x, L.Dense(4)(L.Dense(6, "relu")(x))]))
        yield f"attention_transformer{name}", keras.Model(a, L.GlobalAveragePooling1D()(x))


def nested():
    steps = lambda: keras.Input((5, 2))
    inner = stack((5, 2), L.Dense(3, "tanh"), L.BatchNormalization(), L.GRU(2))
    a, b = steps(), steps()
    x = steps()
    two = keras.Model(x, [L.LSTM(2)(x), L.GlobalMaxPooling1D()(x)], name="two")
    one, other = two(b)
    both = keras.Model([a, b], [*two(a), one, other])
    yield "nested_outputs", both
    ends = L.Concatenate()([inner(a), inner(b), one, other])
    yield "nested", keras.Model([a, b], L.Dense(2)(ends))
    embedding = stack((None,), L.Embedding(9, 4, mask_zero=True), dtype="int32")
    frozen = keras.Sequential([L.Dense(3), L.BatchNormalization()], name="frozen")
    frozen.trainable = False
    yield "nested_stacks", stack(
        (6,), embedding, L.LSTM(3, return_sequences=True), frozen, L.GRU(2), dtype="int32"
    )


def wrapped():
    """Models and layers that are applied to each step, and tokens of more axes than one."""
    encoder = keras.Sequential(
        [
            L.Conv2D(2, 2, activation="relu"), L.BatchNormalization(), L.MaxPooling2D(),
            L.Flatten(), L.Dense(3),
        ],
        name="encoder",
    )
    yield "frames", stack((4, 5, 6, 2), L.TimeDistributed(encoder), L.LSTM(3), L.Dense(1))
    x = keras.Input((5, 2))
    pooled = L.GlobalMaxPooling1D()(x)
    deep = keras.Sequential([L.Bidirectional(L.GRU(2)), L.Dense(2, trainable=False)])
    branches = keras.Model(x, L.Concatenate()([L.Dense(3)(deep(x)), pooled]), name="branches")
    branches.trainable = False
    twice = L.TimeDistributed(L.TimeDistributed(branches))
    yield "frames_nested", stack((3, 2, 5, 2), twice, L.TimeDistributed(L.LSTM(2)), L.GRU(2))
    yield "frames_layers", stack(
        (3, 4, 2), L.TimeDistributed(L.BatchNormalization()),
        L.TimeDistributed(L.RNN([L.LSTMCell(2), L.GRUCell(3)], return_sequences=True)),
        L.TimeDistributed(L.Bidirectional(L.SimpleRNN(2), merge_mode="sum")),
    )
    sentence = stack(
        (6,), L.Embedding(9, 4, mask_zero=True), L.Bidirectional(L.GRU(2)), dtype="int32"
    )
    yield "sentences", stack((3, 6), L.TimeDistributed(sentence), L.LSTM(3), dtype="int32")
    words, characters = keras.Input((6,), dtype="int32"), keras.Input((6, 4), dtype="int32")
    spelt = L.TimeDistributed(L.LSTM(3))(L.Embedding(9, 4)(characters))
    told = L.Concatenate()([L.Embedding(9, 2, mask_zero=True)(words), spelt])
    tags = L.Dense(3, "softmax")(L.Bidirectional(L.LSTM(2, return_sequences=True))(told))
    yield "characters", keras.Model([words, characters], tags)
    masked = L.TimeDistributed(L.GRU(3, return_sequences=True))(
        L.Embedding(9, 4, mask_zero=True)(characters)
    )
    last = L.TimeDistributed(L.LSTM(2))(masked)
    yield "characters_masked", keras.Model(characters, L.Dense(2)(last))
    yield "single_token", stack((), L.Embedding(9, 4), L.Dense(2), dtype="int32")


def masks():
    """Masks that Keras writes as operations of their own."""
    a, b = [keras.Input((6,), dtype="int32", name=name) for name in "ab"]
    x, y = [L.Embedding(9, 4, mask_zero=True)(tokens) for tokens in (a, b)]
    plain = L.Embedding(9, 4)(b)
    residual = L.Add()([x, L.LSTM(4, return_sequences=True)(x)])
    yield "masks_residual", keras.Model(a, L.GRU(2)(L.Add()([residual, L.Dense(4)(residual)])))
    for name, layer in [
        ("add", L.Add()),
        ("average", L.Average()),
        ("subtract", L.Subtract()),
        ("maximum", L.Maximum()),
        ("minimum", L.Minimum()),
        ("multiply", L.Multiply()),
        ("concatenate", L.Concatenate(name="concatenate")),
        ("concatenate_steps", L.Concatenate(axis=1, name="concatenate_3")),
    ]:
        seen = [L.GRU(2)(layer([x, y])), L.LSTM(2)(layer([x, plain])), L.Flatten()(layer([x, y]))]
        yield f"masks_{name}", keras.Model([a, b], L.Concatenate()(seen))
    steps = keras.Input((6, 3), name="steps")
    both = L.Bidirectional(L.LSTM(2, return_sequences=True))(L.Masking(0.0)(steps))
    both = L.Add()([both, L.Masking(0.5)(both)])
    inner_steps = keras.Input((6, 4))
    inner = keras.Model(inner_steps, L.GRU(4, return_sequences=True)(inner_steps), name="inner")
    yield "masks_nested", keras.Model(steps, L.GlobalAveragePooling1D()(L.Add()([both, inner(both)])))


def operations():
    """keras.ops between layers."""
    from keras import ops

    x, y, c = keras.Input((5, 4)), keras.Input((5, 1)), keras.Input((5, 4))
    gate = ops.sigmoid(x)
    table = np.linspace(-1, 1, 20, dtype="float32").reshape(5, 4)
    yield "ops_gates", keras.Model([x, y, c], [gate * c + (1 - gate) * y, x / 3 + table, -x**2])
    parts = [x[:, -1], x[:, ::2, None], x[:, :, 1:3], x[:, ::-1], ops.pad(x, ((0, 0), (1, 2), (0, 0)))]
    parts += [ops.squeeze(ops.expand_dims(x, 1), 1), ops.stack([x, c], axis=2), ops.take(x, 1, axis=2)]
    parts += [*ops.split(x, 2, axis=-1), ops.split(c, [1, 3], axis=1)[1], ops.concatenate([x, y], -1)]
    parts += [ops.flip(x, axis=1), ops.repeat(x, 2, axis=1), ops.tile(x, [1, 2, 1]), ops.roll(x, 2, axis=1)]
    parts += [ops.transpose(x, (0, 2, 1)), ops.reshape(x, (-1, 2, 10)), ops.swapaxes(x, 1, 2)]
    yield "ops_shapes", keras.Model([x, y, c], parts)
    ends = [getattr(ops, f)(x, axis=1) for f in ("mean", "sum", "max", "min", "var", "std", "logsumexp")]
    ends += [ops.mean(x, axis=(1, 2), keepdims=True), ops.norm(x, axis=-1), ops.average(c, axis=1)]
    yield "ops_reductions", keras.Model([x, c], ends)
    some = ops.any(x > 0.5, axis=-1, keepdims=True)
    ends = [ops.where(some, x, 0.0), ops.maximum(x, c), ops.clip(x, -0.5, 0.5), ops.cast(x <= c, "float32") * x]
    ends += [ops.where(ops.logical_or(x > c, ops.logical_not(some)), 1.0, c), ops.minimum(x, 0.1)]
    yield "ops_conditions", keras.Model([x, c], ends)
    scores = ops.matmul(x, ops.transpose(c, (0, 2, 1)))
    ends = [ops.einsum("bts,bsf->btf", ops.softmax(scores), c), ops.dot(x, table.T), x @ table.T]
    yield "ops_products", keras.Model([x, c], ends)
    hidden = L.GRU(3, return_sequences=True)(x)
    weights = ops.softmax(L.Dense(1)(L.Dense(4, "tanh")(hidden)), axis=1)
    yield "ops_attention", keras.Model(x, L.Dense(2)(ops.sum(weights * hidden, axis=1)))
    tokens = keras.Input((6,), dtype="int32")
    words = L.Embedding(9, 4, mask_zero=True)(tokens)
    there = ops.expand_dims(ops.cast(ops.not_equal(tokens, 0), "float32"), -1)
    both = words + L.LSTM(4, return_sequences=True)(words)
    ends = [L.GRU(2)(both), L.GRU(2)(words), ops.sum(both * there, axis=1) / (ops.sum(there, axis=1) + 1e-7)]
    yield "ops_masks", keras.Model(tokens, ends)
    for f in ("relu", "gelu", "leaky_relu", "exp", "log_softmax", "square", "abs", "rsqrt", "log1p"):
        yield f"ops_{f}", keras.Model(x, getattr(ops, f)(ops.square(x) + 0.5))
    row = keras.Input((4,))
    merged = [L.Add()([x, y, row]), L.Multiply()([x, y]), L.Maximum()([y, x]), L.Average()([row, x])]
    yield "merged_shapes", keras.Model([x, y, row], merged)
    yield "lambda_of_name", keras.Model(x, L.Lambda(ops.exp)(x))


def examples(model, random):
    for tensor in model.inputs:
        shape = (4, *[n or 6 for n in tensor.shape[1:]])
        if tensor.dtype == "int32":
            x = random.integers(1, 9, shape)
            if len(shape) > 1:
                x[0, -2:] = x[1, :2] = 0
            yield x.astype("int32")
        else:
            x = random.normal(size=shape).astype("float32")
            x[0, -1] = 1.0
            x[1, :1] = 0.0
            yield x


def write():
    random = np.random.default_rng(1)
    models = [stacks, functional, attention, nested, wrapped, masks, operations]
    for name, model in [named for family in models for named in family()]:
        for variable in model.weights:
            value = random.normal(scale=0.5, size=variable.shape)
            positive = "variance" in variable.path
            variable.assign(np.abs(value) + 0.5 if positive else value)
        for layer in model.layers:
            if isinstance(layer, L.Normalization):
                layer.finalize_state()  # It computes with copies.
        inputs = list(examples(model, random))
        outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        arrays = {f"input_{i}": x for i, x in enumerate(inputs)}
        arrays.update({f"output_{i}": y for i, y in enumerate(outputs)})
        np.savez(FOLDER / f"{name}.npz", **arrays)
        model.save(FOLDER / f"{name}.keras")
        model.save(FOLDER / f"{name}.h5")


def check():
    for arrays in sorted(FOLDER.glob("*.npz")):
        name = arrays.stem
        if name == "characters":
            continue  # It is not written for Keras.
        arrays = np.load(arrays)
        outputs = [arrays[key] for key in arrays.files if key.startswith("output_")]
        for ending in ["keras", "h5"]:
            model = keras.models.load_model(FOLDER / f"{name}.ours.{ending}", compile=False)
            inputs = [arrays[f"input_{i}"] for i in range(len(model.inputs))]
            got = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
            got = got if isinstance(got, list) else [got]
            for one, want in zip(got, outputs, strict=True):
                np.testing.assert_allclose(one, want, rtol=1e-5, atol=1e-5, err_msg=name)


check() if sys.argv[2:] == ["check"] else write()
print("Keras", keras.__version__)

"""Write masked_models.safetensors: small models, what they predict, and three steps of training.

They are about masks, statistics over a batch, and what wrappers do with the steps of a sequence. A
case holds the model as Keras 3 describes it, `<layer>:<i>` the weights of a layer in Keras's order,
`x<i>` the inputs, `y` the labels, `output`, `losses` of three steps of SGD on the mean squared error
and `<layer>:<i>:after` the weights behind them. No output has a mask, so that the loss is plain.
"""

from generate import Group, normal  # isort: skip  First: it sets how TensorFlow computes.

import json

import keras
import numpy as np
from keras import layers as L

N, T = 5, 4


def steps(rng, width=3):
    """Sequences with zeros at the end, in between, and throughout."""
    x = normal(rng, N, T, width)
    for row, step in [(0, 3), (1, 2), (1, 3), (2, 1), (4, 0), (4, 3)]:
        x[row, step] = 0
    x[3] = 0
    return x


def tokens(rng):
    x = rng.integers(1, 7, (N, T)).astype(np.int32)
    x[0, 3] = x[1, 2] = x[1, 3] = x[2, 1] = x[4, 0] = 0
    return x


def case(group, name, build, rate=0.1):
    """`build` makes a model and its inputs, given numbers; a rate at which the loss falls."""
    keras.utils.clear_session()
    rng = group.rng(name)
    model, inputs = build(rng)
    head = L.Dense(2, name="head")
    if isinstance(model, keras.Sequential):
        model.add(head)
    else:
        model = keras.Model(model.inputs, head(model.outputs[0]))
    tensors = {f"x{i}": x for i, x in enumerate(inputs)}
    for layer in flat(model):
        weights = []
        for variable in layer.weights:
            scale = rng.uniform(0.5, 1.5, variable.shape)
            positive = variable.name in ("gamma", "moving_variance", "variance")
            weights.append(scale if positive else normal(rng, *variable.shape, scale=0.5))
        layer.set_weights(weights)
        if isinstance(layer, L.Normalization):
            layer.finalize_state()  # It computes with copies.
        tensors |= {f"{path(model, layer)}:{i}": w for i, w in enumerate(layer.get_weights())}
    fed = inputs[0] if len(inputs) == 1 else inputs
    tensors["output"] = model(fed, training=False)
    tensors["y"] = normal(rng, *tensors["output"].shape)
    model.compile(keras.optimizers.SGD(rate), "mean_squared_error", run_eagerly=True)
    tensors["losses"] = [float(model.train_on_batch(fed, tensors["y"])) for _ in range(3)]
    for layer in flat(model):
        after = enumerate(layer.get_weights())
        tensors |= {f"{path(model, layer)}:{i}:after": w for i, w in after}
    args = {"model": json.loads(model.to_json()), "inputs": len(inputs)}
    optimizer = {"class_name": "SGD", "config": {"learning_rate": rate}}
    group.add(name, args | {"optimizer": optimizer}, tensors)


def flat(model):
    for layer in model.layers:
        yield from flat(layer) if isinstance(layer, keras.Model) else [layer]


def path(model, layer):
    """The layer's name behind those of the models around it."""
    for inner in model.layers:
        if inner is layer:
            return layer.name
        if isinstance(inner, keras.Model) and layer in flat(inner):
            return f"{inner.name}_{path(inner, layer)}"


def stack(data, *layers):
    def build(rng):
        x = data(rng)
        dtype = "int32" if x.dtype == np.int32 else "float32"
        return keras.Sequential([L.Input(x.shape[1:], dtype=dtype), *[l() for l in layers]]), [x]

    return build


def of(layer, *args, **kwargs):
    return lambda: layer(*args, **kwargs)


def td(layer, *args, **kwargs):
    return lambda: L.TimeDistributed(layer(*args, **kwargs))


def films(*axes):
    return lambda rng: normal(rng, N, T, *axes)


def statistics(group):
    bn, lstm, dense = L.BatchNormalization, L.LSTM, of(L.Dense, 2)
    embedding = of(L.Embedding, 7, 3, mask_zero=True)
    case(group, "bn_steps", stack(steps, L.Masking, of(bn), of(lstm, 3), dense))
    case(group, "bn_steps_seen", stack(steps, L.Masking, of(bn, momentum=0.8), L.Flatten, dense))
    case(group, "bn_tokens", stack(tokens, embedding, of(bn), L.GlobalAveragePooling1D))
    case(group, "bn_epsilon", stack(tokens, embedding, of(bn, epsilon=0.1, scale=False), of(lstm, 2)))
    case(group, "bn_twice", stack(tokens, embedding, of(bn), dense, of(bn), of(L.GRU, 2)))
    bi = L.Bidirectional
    case(
        group,
        "bn_bidirectional",
        stack(
            tokens,
            embedding,
            lambda: bi(L.GRU(2, return_sequences=True)),
            of(bn),
            of(L.GlobalMaxPooling1D),
        ),
    )
    case(group, "bn_frozen", stack(tokens, embedding, of(bn, trainable=False), of(lstm, 2)))
    nested = lambda: keras.Sequential([L.Input((T, 3)), L.Dense(3), bn(), L.LSTM(2)], name="inner")
    case(group, "bn_nested", stack(tokens, embedding, nested, dense))
    td_bn, momentum = td(bn), td(bn, momentum=0.7)
    case(group, "td_bn", stack(films(3), td_bn, of(lstm, 3), dense))
    case(group, "td_bn_masked", stack(steps, L.Masking, momentum, of(lstm, 3), dense))
    case(group, "td_bn_seen", stack(tokens, embedding, momentum, L.Flatten, dense))
    case(group, "td_bn_films", stack(films(3, 2, 2), momentum, L.Flatten, dense), 0.01)
    case(group, "td_td_bn", stack(films(3, 2), lambda: L.TimeDistributed(td_bn()), L.Flatten, dense))
    case(
        group,
        "td_conv_bn",
        stack(films(4, 4, 2), td(L.Conv2D, 2, 2), td_bn, of(L.ConvLSTM2D, 2, 2), L.Flatten),
    )
    case(group, "ln_steps", stack(steps, L.Masking, L.LayerNormalization, of(lstm, 3)))


def wrappers(group):
    activity = {"activity_regularizer": keras.regularizers.L2(0.1)}
    case(group, "activity_td", stack(films(3), td(L.Dense, 2, **activity), L.Flatten))
    case(group, "activity_steps", stack(films(3), of(L.Dense, 2, **activity), L.Flatten))
    inner = lambda: L.Bidirectional(L.LSTM(2, **activity))
    case(group, "activity_bidirectional", stack(films(3), inner))
    case(group, "activity_td_bidirectional", stack(films(3, 2), lambda: L.TimeDistributed(inner())))
    films2d = stack(films(4, 3, 2), of(L.ConvLSTM2D, 2, 2, **activity))
    case(group, "activity_conv_lstm", films2d)
    for axes, conv in [(1, L.ConvLSTM1D), (2, L.ConvLSTM2D), (3, L.ConvLSTM3D)]:
        for merge, sequences in [("concat", False), ("sum", True), ("mul", False), ("ave", False)]:
            layer = lambda: L.Bidirectional(
                conv(2, 2, return_sequences=sequences, padding="same"), merge_mode=merge
            )
            name = f"bi_conv_lstm{axes}d_{merge}{'_sequences' if sequences else ''}"
            case(group, name, stack(films(*[3] * axes, 2), layer, L.Flatten))


def zero_outputs(group):
    zero = {"zero_output_for_mask": True}
    for name, rnn in [("simple_rnn", L.SimpleRNN), ("lstm", L.LSTM), ("gru", L.GRU)]:
        for backwards in (False, True):
            layer = of(rnn, 3, go_backwards=backwards, **zero)
            suffix = "_backwards" if backwards else ""
            case(group, f"zero_{name}{suffix}", stack(steps, L.Masking, layer))
        both = of(rnn, 3, return_sequences=True, **zero)
        case(group, f"zero_{name}_sequences", stack(tokens, of(L.Embedding, 7, 3, mask_zero=True), both, L.Flatten))
    pixels = td(L.Reshape, (3, 2))
    wide = lambda rng: steps(rng, 6)
    for backwards in (False, True):
        layer = of(L.ConvLSTM1D, 2, 2, go_backwards=backwards, **zero)
        name = f"zero_conv_lstm{'_backwards' if backwards else ''}"
        case(group, name, stack(wide, L.Masking, pixels, layer, L.Flatten))
    bi = lambda: L.Bidirectional(L.LSTM(2, **zero))
    case(group, "zero_bidirectional", stack(steps, L.Masking, bi))

    def states(rng):
        x, h = L.Input((T, 3)), L.Input((3,))
        masked = L.Masking()(x)
        out, last = L.GRU(3, return_state=True, **zero)(masked, initial_state=h)
        return keras.Model([x, h], L.Concatenate()([out, last])), [steps(rng), normal(rng, N, 3)]

    case(group, "zero_states", states)


def flows(group):
    """What becomes of a mask in each layer, as an LSTM behind it sees it."""
    for layer in [
        of(L.Activation, "tanh"),
        of(L.AveragePooling1D, 2, strides=1),
        of(L.Conv1D, 3, 2),
        of(L.Dense, 3),
        of(L.Dropout, 0.0),
        L.LayerNormalization,
        of(L.Masking, 0.5),
        of(L.MaxPooling1D, 2, strides=1),
        of(L.Permute, (2, 1)),
        of(L.Reshape, (T, 3)),
        of(L.SimpleRNN, 3, return_sequences=True),
        of(L.SpatialDropout1D, 0.0),
        td(L.Dense, 3),
        of(L.UpSampling1D, 2),
    ]:
        name = f"flow_{layer().__class__.__name__.lower()}"
        case(group, name, stack(steps, L.Masking, layer, of(L.LSTM, 2)))


def functional(group):
    """Masks that Keras 3 writes as operations."""
    rows = lambda i: L.Input((T,), dtype="int32", name=f"rows_{i}")
    embed = lambda masked=True: L.Embedding(7, 3, mask_zero=masked)

    def with_tokens(count, build):
        def made(rng):
            inputs = [rows(i) for i in range(count)]
            return keras.Model(inputs, build(*inputs)), [tokens(rng)[::-1 if i else 1] for i in range(count)]

        return made

    def add(name, build, count=1):
        case(group, name, with_tokens(count, build))

    def residual(a):
        x = embed()(a)
        for _ in range(2):
            x = L.Add()([x, L.LSTM(3, return_sequences=True)(x)])
        return L.LSTM(2)(x)

    add("residual", residual)
    for merge in (L.Add, L.Multiply, L.Average, L.Subtract):
        name = merge.__name__.lower()

        def two(a, b, second=True):
            merged = merge()([embed()(a), embed(second)(b)])
            return L.Concatenate()([L.GRU(2)(merged), L.Flatten()(merged)])

        add(f"{name}_two_masks", two, 2)
        add(f"{name}_one_mask", lambda a, b: two(a, b, False), 2)

    def product(a):
        x = embed()(a)
        merged = L.Multiply()([x, L.Dense(3)(x)])
        return L.Concatenate()([L.GRU(2)(merged), L.Flatten()(merged)])

    add("multiply_same_mask", product)
    for axis in (-1, 2, 1):
        for second in (True, False):
            name = f"concatenate_axis_{axis}_{'two_masks' if second else 'one_mask'}".replace("-", "m")
            join = lambda a, b: L.LSTM(2)(L.Concatenate(axis=axis)([embed()(a), embed(second)(b)]))
            add(name, join, 2)

    def deep(a, b):
        x, y = embed()(a), embed()(b)
        both = L.Concatenate()([x, y, x])
        both = L.Add()([both, L.Dense(9)(both)])
        long = L.Concatenate(axis=1)([both, both])
        long = L.Bidirectional(L.GRU(2, return_sequences=True))(long)
        long = L.TimeDistributed(L.Dense(3))(L.BatchNormalization()(long))
        return L.GlobalAveragePooling1D()(L.Average()([long, L.Activation("tanh")(long)]))

    add("deep", deep, 2)

    def masking(rng):
        x = L.Input((T, 3))
        y = L.Masking(0.0)(x)
        y = L.Bidirectional(L.GRU(2, return_sequences=True))(y)
        y = L.Add()([y, L.Masking(0.5)(y)])
        return keras.Model(x, L.LSTM(2)(y)), [steps(rng)]

    case(group, "masking_twice", masking)

    def nested(a):
        inner_input = L.Input((T, 3))
        inner = keras.Model(inner_input, L.LSTM(3, return_sequences=True)(inner_input), name="inner")
        x = embed()(a)
        return L.LSTM(2)(L.Add()([x, inner(x)]))

    add("nested", nested)


if __name__ == "__main__":
    group = Group("masked_models")
    for write in (statistics, wrappers, zero_outputs, flows, functional):
        write(group)
    group.save()

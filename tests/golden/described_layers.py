"""Write described_layers.safetensors: small models of one layer each, as in masked_models.py.

A Dense layer in front takes what flows back through the layer. Cases are described as in
masked_models.py, and so are checked by the same code.
"""

from masked_models import N, T, case, of, stack, steps, tokens  # isort: skip
from generate import Group, normal

import keras
from keras import layers as L

FIRST = of(L.Dense, 3, activation="tanh")


def examples(*axes):
    return lambda rng: normal(rng, N, *axes)


def around(group, name, axes, *layers):
    case(group, name, stack(examples(*axes), FIRST, *layers, L.Flatten))


def embedded(group, name, layer, masked):
    """The layer of embedded tokens, with or without masks, as an RNN and all steps see it."""

    def build(rng):
        inputs = [L.Input((T,), dtype="int32") for _ in masked]
        words = [L.Embedding(7, 3, mask_zero=mask)(x) for x, mask in zip(inputs, masked)]
        ends = layer()(words)
        seen = L.Concatenate()([L.GRU(2)(ends), L.Flatten()(ends)])
        return keras.Model(inputs, seen), [tokens(rng)[:: (-1) ** i] for i in range(len(masked))]

    case(group, name, build)


def identities(group):
    around(group, "identity", (4,), L.Identity)
    around(group, "identity_sequence", (5, 2), L.Identity)
    around(group, "activity_regularization", (5, 2), of(L.ActivityRegularization, l1=0.02, l2=0.1))
    around(group, "activity_regularization_l1", (4,), of(L.ActivityRegularization, l1=0.1))


def margins(group):
    around(group, "cropping1d", (7, 2), L.Cropping1D)
    around(group, "cropping1d_end", (6, 2), of(L.Cropping1D, (0, 2)))
    around(group, "cropping2d", (5, 6, 2), of(L.Cropping2D, ((1, 0), (2, 1))))
    around(group, "cropping2d_rows", (5, 4, 2), of(L.Cropping2D, ((1, 2), 0)))
    around(group, "cropping3d", (4, 5, 3, 2), of(L.Cropping3D, ((0, 1), (2, 1), (1, 0))))
    around(group, "zero_padding1d", (4, 2), of(L.ZeroPadding1D, 2))
    around(group, "zero_padding1d_end", (4, 2), of(L.ZeroPadding1D, (0, 3)))
    around(group, "zero_padding2d", (3, 4, 2), of(L.ZeroPadding2D, ((0, 1), (2, 0))))
    around(group, "zero_padding2d_axes", (3, 4, 2), of(L.ZeroPadding2D, (2, 1)))
    around(group, "zero_padding3d", (2, 3, 2, 2), of(L.ZeroPadding3D, ((1, 0), (0, 0), (2, 1))))


def pooling(group):
    for kind in ("Max", "Average"):
        for rank, axes in enumerate([(5, 2), (4, 3, 2), (3, 2, 4, 2)], 1):
            layer = of(getattr(L, f"Global{kind}Pooling{rank}D"), keepdims=True)
            around(group, f"global_{kind.lower()}_keepdims_{rank}d", axes, layer)
    masked = of(L.GlobalAveragePooling1D, keepdims=True)
    # A step that is masked throughout has a mean of 0 / 0 in Keras.
    seen = lambda rng: steps(rng)[[0, 1, 2, 4, 0]]
    case(group, "global_average_keepdims_masked", stack(seen, L.Masking, masked, L.Flatten))


def merged(group, name, layer, *shapes):
    def build(rng):
        inputs = [L.Input(shape) for shape in shapes]
        ends = layer([L.Dense(shape[-1])(x) for shape, x in zip(shapes, inputs)])
        return keras.Model(inputs, L.Flatten()(ends)), [normal(rng, N, *shape) for shape in shapes]

    case(group, name, build)


def merging(group):
    for layer in (L.Maximum, L.Minimum):
        name = layer.__name__.lower()
        merged(group, name, layer(), (3, 2), (3, 2))
        merged(group, f"{name}_of_three", layer(), (3, 2), (3, 2), (3, 2))
        embedded(group, f"{name}_two_masks", layer, [True, True])
        embedded(group, f"{name}_one_mask", layer, [True, False])
        embedded(group, f"{name}_other_mask", layer, [False, True])
        embedded(group, f"{name}_three_masks", layer, [True, True, True])


def products(group):
    for name, axes, *shapes in [
        ("vectors", 1, (4,), (4,)),
        ("attention", 2, (3, 4), (5, 4)),
        ("values", (2, 1), (3, 5), (5, 2)),
        ("steps", (1, 1), (4, 3), (4, 2)),
        ("mixed", (-1, 1), (2, 3), (3,)),
        ("vector_by_matrix", (1, 2), (3,), (2, 3)),
        ("pictures", (2, 3), (2, 4, 3), (3, 2, 4)),
    ]:
        merged(group, f"dot_{name}", L.Dot(axes), *shapes)
    merged(group, "cosine_vectors", L.Dot(-1, normalize=True), (4,), (4,))
    merged(group, "cosine_steps", L.Dot((1, 2), normalize=True), (4, 3), (2, 4))


def scaling(group):
    around(group, "rescaling", (4, 2), of(L.Rescaling, 0.3, 1.5))
    around(group, "rescaling_features", (4, 2), of(L.Rescaling, [0.5, 2.0, -1.0], [0.0, 1.0, 0.5]))
    around(group, "rescaling_rows", (2, 4, 2), of(L.Rescaling, [[0.5], [2.0], [1.0], [3.0]], -1.0))
    around(group, "normalization", (4, 2), L.Normalization)
    around(group, "normalization_inverted", (4, 2), of(L.Normalization, invert=True))
    around(group, "normalization_one", (4, 2), of(L.Normalization, axis=None))
    around(group, "normalization_steps", (4, 2), of(L.Normalization, axis=1))
    around(group, "normalization_pixels", (2, 3, 2), of(L.Normalization, axis=(1, 3)))
    around(group, "normalization_columns", (2, 3, 2), of(L.Normalization, axis=(-2, 3)))
    around(group, "normalization_vector", (4,), L.Normalization)
    given = {"mean": [0.5, -1.0, 2.0], "variance": [0.25, 2.0, 1.0]}
    around(group, "normalization_given", (4, 2), of(L.Normalization, **given))
    around(group, "normalization_given_inverted", (4, 2), of(L.Normalization, **given, invert=True))
    one = {"mean": 0.5, "variance": 4.0}
    around(group, "normalization_given_one", (4, 2), of(L.Normalization, axis=None, **one))
    around(group, "normalization_given_all", (2, 3, 2), of(L.Normalization, axis=(1, -1), **one))


def cells(group):
    """RNNs around cells."""
    cell = lambda layer, *args, **kwargs: lambda: layer(*args, **kwargs)
    for name, made in [
        ("lstm", cell(L.LSTMCell, 3, unit_forget_bias=False)),
        ("gru", cell(L.GRUCell, 3)),
        ("gru_reset_before", cell(L.GRUCell, 3, reset_after=False)),
        ("simple_rnn", cell(L.SimpleRNNCell, 3, activation="relu", use_bias=False)),
    ]:
        layer = lambda: L.RNN(made(), return_sequences=True)
        around(group, f"rnn_{name}", (5, 2), layer)
        layer = lambda: L.RNN(made(), go_backwards=True)
        case(group, f"rnn_{name}_backwards", stack(steps, L.Masking, layer))

    def states(rng):
        x, h, c = L.Input((T, 3)), L.Input((2,)), L.Input((2,))
        ends = L.RNN(L.LSTMCell(2), return_state=True)(x, initial_state=[h, c])
        inputs = [normal(rng, N, T, 3), normal(rng, N, 2), normal(rng, N, 2)]
        return keras.Model([x, h, c], L.Concatenate()(ends)), inputs

    case(group, "rnn_states", states)
    stacked = lambda **kwargs: lambda: L.RNN([L.LSTMCell(3), L.GRUCell(2), L.LSTMCell(4)], **kwargs)
    around(group, "stack", (5, 2), stacked())
    around(group, "stack_sequences", (5, 2), stacked(return_sequences=True))
    for name, kwargs in [
        ("masked", {}),
        ("backwards", {"go_backwards": True}),
        ("sequences_masked", {"return_sequences": True}),
        ("zeros", {"zero_output_for_mask": True, "return_sequences": True}),
        ("zeros_last", {"zero_output_for_mask": True}),
    ]:
        ends = [L.Flatten] if "return_sequences" in kwargs else []
        case(group, f"stack_{name}", stack(steps, L.Masking, stacked(**kwargs), *ends))

    def last_states(rng):
        x = L.Input((T, 3))
        ends = stacked(return_state=True)()(x)
        return keras.Model(x, L.Concatenate()(keras.tree.flatten(ends))), [normal(rng, N, T, 3)]

    case(group, "stack_states", last_states)


def directions(group):
    """States of both directions, returned and given."""

    def encoder(name, layer, mask, **kwargs):
        made = lambda **more: L.Bidirectional(layer(2, return_state=True, **more), **kwargs)

        def build(rng):
            x, y = L.Input((T, 3)), L.Input((T, 2))
            read = L.Masking()(x) if mask else x
            out, *states = made(return_sequences=True)(read)
            end, *last = made()(y, initial_state=states)
            seen = L.Concatenate()([L.GRU(2)(out), end, *states, *last])
            return keras.Model([x, y], seen), [steps(rng), normal(rng, N, T, 2)]

        case(group, f"directions_{name}", build)

    encoder("lstm", L.LSTM, False)
    encoder("lstm_masked", L.LSTM, True)
    encoder("gru_sum", L.GRU, True, merge_mode="sum")
    activity = lambda *args, **kwargs: L.SimpleRNN(*args, activity_regularizer="l2", **kwargs)
    encoder("simple_rnn_activity", activity, False, merge_mode="ave")


def flows(group):
    """What becomes of a mask in each layer, as an LSTM behind it sees it."""
    for layer in [
        of(L.ActivityRegularization, l2=0.1),
        of(L.AlphaDropout, 0.0),
        of(L.Cropping1D, (0, 1)),
        of(L.Dropout, 0.0, noise_shape=(None, 1, None)),
        of(L.GaussianDropout, 0.0),
        of(L.GaussianNoise, 0.0),
        L.Identity,
        L.Normalization,
        of(L.RNN, L.GRUCell(3), return_sequences=True),
        of(L.Rescaling, 0.5, 1.0),
        L.ZeroPadding1D,
    ]:
        name = f"flow_{layer().__class__.__name__.lower()}"
        case(group, name, stack(steps, L.Masking, layer, of(L.LSTM, 2)))


if __name__ == "__main__":
    group = Group("described_layers")
    for write in (identities, margins, pooling, merging, products, scaling, cells, directions, flows):
        write(group)
    group.save()

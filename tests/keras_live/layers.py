"""Random layers with random arguments, by the shape of what they are applied to.

Shapes are without the batch. Every function takes a Draw and a shape and returns a layer, or None
where none fits; TABLE has them by rank.
"""

import keras
from keras import constraints, layers as L, regularizers

SMOOTH = ["linear", "sigmoid", "tanh"]
ACTIVATIONS = [*SMOOTH, "relu", "hard_sigmoid"]


def penalty(d):
    l1, l2 = d.number(0.001, 0.05), d.number(0.001, 0.05)
    return d.pick(
        [regularizers.L1(l1), regularizers.L2(l2), regularizers.L1L2(l1=l1, l2=l2), "l2", "l1"]
    )


def constraint(d):
    low, high = d.number(0.1, 0.5), d.number(0.6, 1.5)
    return d.pick(
        [
            constraints.NonNeg(),
            constraints.MaxNorm(high),
            constraints.UnitNorm(),
            constraints.MinMaxNorm(low, high, rate=d.number(0.2, 1.0)),
        ]
    )


def held(d, *names):
    """Regularizers and constraints of these weights."""
    return {
        **d.some(0.08, **{f"{name}_regularizer": penalty for name in names}),
        **d.some(0.08, **{f"{name}_constraint": constraint for name in names}),
    }


def whole_layer(d):
    """A layer within a wrapper is trained where the wrapper is."""
    frozen = {} if d.wrapped else d.some(0.06, trainable=[False])
    return frozen | d.some(0.06, activity_regularizer=penalty)


# Layers of any rank.


def dense(d, shape):
    given = d.some(activation=[*ACTIVATIONS, "softmax"], use_bias=[False])
    return L.Dense(d.whole(1, 5), **given, **held(d, "kernel", "bias"), **whole_layer(d))


def einsum_dense(d, shape):
    """The last axis becomes one or two, in any place behind the batch."""
    letters = "abcdef"[: len(shape) + 1]
    made = "yz"[: d.whole(1, 2)]
    kept = list(letters[:-1])
    place = d.whole(1, len(kept))
    end = "".join([*kept[:place], made, *kept[place:]])
    extents = [d.whole(1, 3) if c in made else shape[letters.index(c) - 1] for c in end[1:]]
    equation = f"{letters},{letters[-1]}{made}->{end}"
    bias = "".join(c for c in end[1:] if d.chance(0.5)) or None
    return L.EinsumDense(equation, tuple(extents), bias_axes=bias, **held(d, "kernel", "bias"))


def activation(d, shape):
    return L.Activation(d.pick([*ACTIVATIONS, "softmax"]))


def axis(d, shape):
    """An axis that is not the batch."""
    return d.pick([-1, -1, *range(1, len(shape) + 1)])


def axes(d, shape):
    """One axis, or several."""
    if d.chance(0.8):
        return axis(d, shape)
    several = [n for n in range(1, len(shape) + 1) if d.chance(0.6)]
    return several or [len(shape)]


def softmax(d, shape):
    return L.Softmax(axis=axes(d, shape))


def dropout(d, shape):
    """What it drops is random; at a rate of 0 it is still a layer."""
    return L.Dropout(0.0)


def batch_normalization(d, shape):
    given = d.some(
        momentum=lambda d: d.number(0.5, 0.99),
        epsilon=lambda d: d.number(0.001, 0.1),
        center=[False],
        scale=[False],
    )
    frozen = {} if d.wrapped else d.some(0.1, trainable=[False])
    return L.BatchNormalization(**given, **held(d, "beta", "gamma"), **frozen)


def layer_normalization(d, shape):
    given = d.some(epsilon=lambda d: d.number(0.001, 0.1), center=[False], scale=[False])
    return L.LayerNormalization(axis=axes(d, shape), **given, **held(d, "beta", "gamma"))


def group_normalization(d, shape):
    given = d.some(epsilon=lambda d: d.number(0.001, 0.1), center=[False], scale=[False])
    channels = axis(d, shape)
    extent = shape[channels if channels < 0 else channels - 1]
    groups = d.pick([-1, *(n for n in range(1, extent + 1) if extent % n == 0)])
    return L.GroupNormalization(groups, channels, **given, **held(d, "beta", "gamma"))


def flatten(d, shape):
    return L.Flatten()


def reshape(d, shape):
    elements = 1
    for extent in shape:
        elements *= extent
    target = []
    for _ in range(d.whole(0, 2)):
        divisors = [n for n in range(1, elements + 1) if elements % n == 0]
        target.append(d.pick(divisors))
        elements //= target[-1]
    if d.chance(0.3):
        elements = -1
    return L.Reshape((*target, elements))


# Layers of vectors.


def repeat_vector(d, shape):
    return L.RepeatVector(d.whole(1, 5))


# Layers of sequences.


def masking(d, shape):
    return L.Masking(d.pick([0.0, 1.0, -0.5])) if d.chance(0.8) else L.Masking()


def recurrent_arguments(d):
    given = dict(stateful=True) if d.stateful else {}
    return given | d.some(
        use_bias=[False],
        go_backwards=[True],
        zero_output_for_mask=[True],
        return_sequences=[True],
        unroll=[True],
    )


def cell(d, **fixed):
    """SimpleRNN, LSTM or GRU."""
    kind = d.pick([L.SimpleRNN, L.LSTM, L.GRU])
    given = d.some(activation=ACTIVATIONS)
    if kind is not L.SimpleRNN:
        given |= d.some(recurrent_activation=ACTIVATIONS, implementation=[1, 2])
    if kind is L.GRU:
        given |= d.some(reset_after=[False])
    if kind is L.LSTM:
        given |= d.some(unit_forget_bias=[False])
    weights = held(d, "kernel", "recurrent", "bias")
    arguments = {**recurrent_arguments(d), **fixed}
    if arguments.get("go_backwards"):
        # Keras unrolls it with the mask the wrong way round, where masked steps put out zeros.
        arguments.pop("unroll", None)
    return kind(d.whole(1, 4), **given, **arguments, **weights, **whole_layer(d))


def recurrent(d, shape):
    return cell(d)


def sequence(d, shape):
    return cell(d, return_sequences=True)


def windows(d, shape, rank, causal=False):
    """kernel_size and its like, of which an axis is as long as it may be at most."""
    sizes = [d.whole(1, min(3, extent)) for extent in shape[:rank]]
    size = sizes[0] if rank == 1 or d.chance(0.2) else tuple(sizes)
    given = d.some(padding=["valid", "same", *(["causal"] if causal else [])])
    if d.chance(0.3):
        strides = [d.whole(1, 2) for _ in range(rank)]
        given["strides"] = strides[0] if d.chance(0.5) else tuple(strides)
    elif d.chance(0.2):
        given["dilation_rate"] = d.whole(1, 2)
    return size, given


def conv_cell(d, shape, **fixed):
    """ConvLSTM1D, 2D or 3D."""
    rank = len(shape) - 2
    size, given = windows(d, shape[1:], rank)
    kind = [L.ConvLSTM1D, L.ConvLSTM2D, L.ConvLSTM3D][rank - 1]
    given |= d.some(activation=ACTIVATIONS, recurrent_activation=ACTIVATIONS)
    arguments = {**recurrent_arguments(d), **fixed}
    arguments.pop("unroll", None)
    weights = held(d, "kernel", "recurrent", "bias")
    return kind(d.whole(1, 3), size, **given, **arguments, **weights, **whole_layer(d))


def conv_recurrent(d, shape):
    return conv_cell(d, shape)


def wrapping(wrap):
    """A function that makes a wrapper, while whose inner layers are drawn."""

    def drawn(d, shape):
        outer, d.wrapped = d.wrapped, True
        try:
            return wrap(d, shape, {} if outer else d.some(0.06, trainable=[False]))
        finally:
            d.wrapped = outer

    return drawn


@wrapping
def bidirectional(d, shape, whole):
    fixed = dict(return_sequences=d.chance(0.5))
    inner = lambda **more: (
        cell(d, **fixed, **more, unroll=False) if len(shape) == 2 else conv_cell(d, shape, **fixed, **more)
    )
    mode = d.some(0.6, merge_mode=["concat", "sum", "mul", "ave"])
    forward = inner()
    if len(shape) == 2 and d.chance(0.2):
        # Side by side they may be of different widths.
        side_by_side = mode.get("merge_mode", "concat") == "concat"
        backward = type(forward)(
            d.whole(1, 4) if side_by_side and d.chance(0.5) else forward.units,
            return_sequences=forward.return_sequences,
            go_backwards=not forward.go_backwards,
            stateful=forward.stateful,
            **d.some(activation=SMOOTH, use_bias=[False]),
        )
        return L.Bidirectional(forward, backward_layer=backward, **mode, **whole)
    return L.Bidirectional(forward, **mode, **whole)


@wrapping
def time_distributed(d, shape, whole):
    stateful, d.stateful = d.stateful, False
    inner = layer(d, shape[1:])
    d.stateful = stateful
    # A model that normalizes batches is refused here behind a mask.
    if inner is not None and not isinstance(inner, L.BatchNormalization) and d.chance(0.3):
        inner = keras.Sequential([keras.Input(shape[1:]), inner])
    return None if inner is None else L.TimeDistributed(inner, **whole)


def spatial_dropout(d, shape):
    return L.SpatialDropout1D(0.0)


# Layers of pixels.


def conv(d, shape):
    rank = len(shape) - 1
    size, given = windows(d, shape, rank, causal=rank == 1)
    kind = [L.Conv1D, L.Conv2D, L.Conv3D][rank - 1]
    given |= convolving(d, "kernel")
    groups = d.pick([n for n in (1, 2, 3) if shape[-1] % n == 0]) if d.chance(0.3) else 1
    return kind(groups * d.whole(1, 4), size, groups=groups, **given)


def convolving(d, *kernels):
    """What every convolution has, whose kernels have these names in its arguments."""
    given = d.some(activation=[*ACTIVATIONS, "softmax"], use_bias=[False])
    return given | held(d, *kernels, "bias") | whole_layer(d)


def separable(d, shape):
    """DepthwiseConv or SeparableConv. TensorFlow takes one stride for all axes."""
    rank = len(shape) - 1
    if rank > 2:
        return None
    size, given = windows(d, shape, rank)
    if isinstance(given.get("strides"), tuple):
        given["strides"] = max(given["strides"])
    given |= d.some(depth_multiplier=[2])
    if d.chance(0.5):
        kind = [L.DepthwiseConv1D, L.DepthwiseConv2D][rank - 1]
        return kind(size, **given, **convolving(d, "depthwise"))
    kind = [L.SeparableConv1D, L.SeparableConv2D][rank - 1]
    return kind(d.whole(1, 4), size, **given, **convolving(d, "depthwise", "pointwise"))


def transposed(d, shape):
    """TensorFlow does not dilate them on a CPU."""
    rank = len(shape) - 1
    size, given = windows(d, shape, rank)
    given.pop("dilation_rate", None)
    kind = [L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose][rank - 1]
    return kind(d.whole(1, 4), size, **given, **convolving(d, "kernel"))


def pooling(d, shape):
    rank = len(shape) - 1
    kind = getattr(L, f"{d.pick(['Max', 'Average'])}Pooling{rank}D")
    size, given = windows(d, shape, rank)
    given.pop("dilation_rate", None)
    return kind(size, **given)


def global_pooling(d, shape):
    kind = d.pick(["Max", "Average"])
    return getattr(L, f"Global{kind}Pooling{len(shape) - 1}D")()


def up_sampling(d, shape):
    rank = len(shape) - 1
    if rank == 2 and d.chance(0.4):
        return L.UpSampling2D((d.whole(1, 3), d.whole(1, 3)), interpolation="bilinear")
    size = d.whole(1, 2) if rank == 1 else tuple(d.whole(1, 2) for _ in range(rank))
    return [L.UpSampling1D, L.UpSampling2D, L.UpSampling3D][rank - 1](size)


ANY = [
    (2, dense),
    (0.4, einsum_dense),
    (1, activation),
    (0.5, softmax),
    (0.3, dropout),
    (1.5, batch_normalization),
    (1, layer_normalization),
    (0.4, group_normalization),
    (0.5, reshape),
]
DEEP = [*ANY, (0.6, flatten), (1.5, time_distributed)]
PIXELS = [(2, conv), (0.6, separable), (0.6, transposed), (1, pooling), (1, global_pooling), (0.6, up_sampling)]
TABLE = {
    1: [*ANY, (0.5, repeat_vector)],
    2: [
        *DEEP,
        *PIXELS,
        (3, recurrent),
        (3, sequence),
        (3, bidirectional),
        (1, masking),
        (0.2, spatial_dropout),
    ],
    3: [*DEEP, *PIXELS, (2, conv_recurrent), (1, bidirectional)],
    4: [*DEEP, *PIXELS, (2, conv_recurrent), (1, bidirectional)],
    5: [*DEEP, (3, conv_recurrent), (1, bidirectional)],
}


def layer(d, shape):
    """A layer for examples of this shape, or None."""
    return d.weighted(TABLE[len(shape)])(d, shape) if len(shape) in TABLE else None

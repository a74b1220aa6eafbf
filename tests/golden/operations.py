"""Write operations.safetensors: small models with operations of keras.ops between their layers.

Cases are described as in masked_models.py, and so are checked by the same code.
"""

from masked_models import N, T, case, steps, tokens  # isort: skip
from generate import Group, normal

import keras
import numpy as np
from keras import layers as L
from keras import ops


def over(group, name, compute, *shapes):
    """What `compute` makes of Dense layers, one for each shape, flattened; weights for a gradient."""

    def build(rng):
        inputs = [L.Input(shape) for shape in shapes]
        ends = [L.Dense(shape[-1], "tanh")(x) for shape, x in zip(shapes, inputs)]
        y = compute(*ends)
        if len(y.shape) == 1:
            y = ops.expand_dims(y, -1)
        y = L.Flatten()(y) if len(y.shape) > 2 else y
        return keras.Model(inputs, y), [normal(rng, N, *shape) for shape in shapes]

    case(group, name, build)


TABLE = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3) ** 3
STEPS = (4, 3)


def arithmetic(group):
    pair = STEPS, STEPS
    over(group, "gate", lambda a, b, c: ops.sigmoid(a) * b + (1 - ops.sigmoid(a)) * c, *pair, STEPS)
    over(group, "numbers", lambda x: 2.0 * x / 3 - (1 - x) / 0.5, STEPS)
    over(group, "divided", lambda a, b: a / (b * b + 1.0) + 1 / (a + 2.0), *pair)
    over(group, "broadcast", lambda a, b: a * b + b, STEPS, (4, 1))
    over(group, "broadcast_both", lambda a, b: a - b, (4, 1, 3), (1, 5, 3))
    over(group, "positions", lambda x: x + TABLE, STEPS)
    over(group, "positions_of_batch", lambda x: x * TABLE[0] - TABLE[None], STEPS)
    over(group, "row", lambda x: x * np.array([0.5, -1.0, 2.0], "float32"), (3,))
    over(group, "powers", lambda x: x**2 + (x + 2) ** 0.5 - (x + 3) ** -1.5 + 2.0**x, STEPS)
    over(group, "power_of", lambda a, b: (a + 2.0) ** b, *pair)
    over(group, "power_odd", lambda x: 0.1 * (x + 2.0) ** 1.7 + x**3, STEPS)
    over(group, "extrema", lambda a, b: ops.maximum(a, b) * ops.minimum(a, 0.3), *pair)
    over(group, "floor_divide", lambda a, b: b + a * (b // 0.25), *pair)


def conditions(group):
    pair = STEPS, STEPS
    over(group, "greater", lambda a, b: b + a * ops.cast(a > b, "float32"), *pair)
    over(group, "less", lambda a, b: b + a * ops.cast(a < b, "float32") + ops.cast(a <= 0, "float32"), *pair)
    over(group, "where", lambda a, b: ops.where(a >= b, a, -2.0 * b), *pair)
    over(group, "where_number", lambda x: ops.where(x > 0, x, 0.5), STEPS)
    over(group, "where_rows", lambda a, b: b + ops.where(b > 0, a, -2.0 * ops.ones_like(a)), STEPS, (4, 1))
    either = lambda a, b: ops.logical_or(a > 0.3, ops.logical_and(b > 0, ops.logical_not(a > b)))
    over(group, "logical", lambda a, b: ops.where(either(a, b), a, b), *pair)
    some = lambda x: ops.any(x > 0.5, axis=-1, keepdims=True)
    over(group, "any", lambda x: x * ops.cast(some(x), "float32"), STEPS)
    every = lambda x: ops.all(ops.not_equal(x, 0.0), axis=1, keepdims=True)
    over(group, "all", lambda x: x * ops.cast(every(ops.relu(x)), x.dtype), STEPS)
    over(group, "cast", lambda x: x * ops.cast(ops.cast(4.0 * x, "int32"), "float32"), STEPS)


def functions(group):
    for name in ("abs", "negative", "square", "exp", "sigmoid", "tanh", "relu", "silu", "softplus",
                 "softsign", "elu", "selu", "gelu", "leaky_relu", "hard_sigmoid", "relu6", "expm1",
                 "sign", "hard_silu", "hard_tanh", "celu"):
        over(group, name, lambda x, f=getattr(ops, name): x + f(2.0 * x) / 4, STEPS)
    for name in ("log", "sqrt", "rsqrt", "reciprocal", "log1p", "log2", "log10", "floor", "ceil"):
        over(group, name, lambda x, f=getattr(ops, name): x * f(x + 1.5), STEPS)
    over(group, "clip", lambda x: ops.clip(x, -0.4, 0.6), STEPS)
    over(group, "gelu_exact", lambda x: ops.gelu(x, approximate=False), STEPS)
    over(group, "leaky_relu_slope", lambda x: ops.leaky_relu(x, 0.1), STEPS)
    over(group, "elu_alpha", lambda x: ops.elu(x, 1.5), STEPS)
    over(group, "softmax_steps", lambda x: ops.softmax(3.0 * x, axis=1), STEPS)
    over(group, "softmax_last", lambda x: ops.softmax(x), STEPS)
    over(group, "log_softmax", lambda x: ops.log_softmax(x), STEPS)
    over(group, "like", lambda x: ops.ones_like(x) - ops.zeros_like(x) * x + x, STEPS)


def reductions(group):
    for name in ("mean", "sum", "max", "min", "var", "std", "logsumexp"):
        f = getattr(ops, name)
        over(group, f"{name}_steps", lambda x, f=f: f(x, axis=1), STEPS)
        over(group, f"{name}_features", lambda x, f=f: f(x, axis=-1), STEPS)
        over(group, f"{name}_kept", lambda x, f=f: x - f(x, axis=1, keepdims=True), STEPS)
        over(group, f"{name}_all", lambda x, f=f: f(x, axis=(1, 2)), STEPS)
        over(group, f"{name}_middle", lambda x, f=f: f(x, axis=2), (2, 3, 4))
    over(group, "norm", lambda x: x / ops.norm(x, axis=-1, keepdims=True), STEPS)
    over(group, "average", lambda x: ops.average(x, axis=1), STEPS)
    over(group, "max_of_ties", lambda x: ops.max(ops.relu(x - 0.5), axis=1), STEPS)
    over(group, "mean_vector", lambda x: x - ops.mean(x, axis=-1, keepdims=True), (4,))


def shapes(group):
    over(group, "last_step", lambda x: x[:, -1], STEPS)
    over(group, "last_feature", lambda x: x[..., -1], STEPS)
    over(group, "steps_between", lambda x: x[:, 1:3], STEPS)
    over(group, "every_second", lambda x: x[:, ::2, 1:], (7, 3))
    over(group, "backwards", lambda x: x[:, ::-1, ::-2], (4, 5))
    over(group, "backwards_between", lambda x: x[:, 5:1:-2], (7, 3))
    over(group, "new_axes", lambda x: x[:, None, ..., None] * x[:, 1, None, :, None][:, :, None], STEPS)
    over(group, "element", lambda x: x[:, 0, 1:2], STEPS)
    over(group, "one_element", lambda x: x[:, 0, 1], STEPS)
    over(group, "features_of_vector", lambda x: x[:, 1:3] * x[:, :2], (4,))
    over(group, "windows", lambda x: x[:, 1:] - x[:, :-1], STEPS)
    over(group, "take", lambda x: ops.take(x, 2, axis=1) + ops.take(x, -1, axis=1), STEPS)
    over(group, "reshape", lambda x: ops.mean(ops.reshape(x, (-1, 4, 3, 2)), axis=2), (4, 6))
    over(group, "reshape_merged", lambda x: ops.reshape(x, (-1, 6, 2)) ** 2, STEPS)
    over(group, "transpose", lambda x: ops.softmax(ops.transpose(x, (0, 2, 1)), -1), STEPS)
    over(group, "transpose_pictures", lambda x: ops.max(ops.transpose(x, (0, 3, 1, 2)), 2), (2, 3, 4))
    over(group, "swapaxes", lambda x: ops.swapaxes(x, 1, 2)[:, 1], STEPS)
    over(group, "moveaxis", lambda x: ops.moveaxis(x, 1, -1)[:, 1], (2, 3, 4))
    over(group, "expand_dims", lambda x: ops.expand_dims(x, 1) * ops.expand_dims(x, -1), (3, 3))
    over(group, "expand_vector", lambda x: ops.expand_dims(x, 1) * ops.expand_dims(x, -1), (4,))
    over(group, "squeeze", lambda x: ops.squeeze(x[:, 1:2], 1) + ops.squeeze(x[:, :1]), STEPS)
    over(group, "flip", lambda x: ops.flip(x, axis=1) * x, STEPS)
    over(group, "repeat", lambda x: ops.repeat(x, 2, axis=1), STEPS)
    over(group, "tile", lambda x: ops.tile(x, [1, 2, 3]), STEPS)
    over(group, "pad", lambda x: ops.pad(x, ((0, 0), (2, 1), (0, 1))), STEPS)
    over(group, "pad_number", lambda x: ops.pad(x, ((0, 0), (1, 0)), constant_values=0.5), (4,))
    over(group, "roll", lambda x: ops.roll(x, 1, axis=1) * x, STEPS)
    pair = STEPS, STEPS
    over(group, "concatenate", lambda a, b: ops.concatenate([a, b * a], axis=1), STEPS, STEPS)
    over(group, "concatenate_features", lambda a, b: ops.concatenate([a, b], axis=-1), STEPS, (4, 2))
    over(group, "concatenate_vectors", lambda a, b: ops.concatenate([a, b], axis=-1), (3,), (2,))
    over(group, "stack", lambda a, b: ops.max(ops.stack([a, b], axis=1), axis=1), *pair)
    over(group, "stack_last", lambda a, b: ops.stack([a, b], axis=-1), (3,), (3,))
    third = lambda x: ops.split(x, 3, axis=-1)
    over(group, "split", lambda x: third(x)[0] * third(x)[2], STEPS)
    over(group, "split_at", lambda x: ops.split(x, [1, 3], axis=1)[1], STEPS)
    over(group, "unstack", lambda x: sum(ops.unstack(x, axis=1)), STEPS)


def products(group):
    over(group, "matmul", lambda a, b: ops.matmul(a, ops.transpose(b, (0, 2, 1))), STEPS, (5, 3))
    over(group, "matmul_matrix", lambda x: x @ TABLE.T, STEPS)
    over(group, "matmul_heads", lambda a, b: ops.matmul(a, b), (2, 4, 3), (2, 3, 5))
    over(group, "dot_matrix", lambda x: ops.dot(x, TABLE.T), STEPS)
    over(group, "tensordot", lambda x: ops.tensordot(x, TABLE, axes=2), STEPS)
    over(group, "einsum_scores", lambda a, b: ops.einsum("btf,bsf->bts", a, b), STEPS, (5, 3))
    over(group, "einsum_pooled", lambda a, b: ops.einsum("bt,btf->bf", a, b), (4,), STEPS)
    over(group, "einsum_matrix", lambda x: ops.einsum("btf,sf->bst", x, TABLE), STEPS)
    over(group, "einsum_heads", lambda a, b: ops.einsum("bthd,bshd->bhts", a, b), (3, 2, 4), (5, 2, 4))
    over(group, "einsum_outer", lambda a, b: ops.einsum("bi,bj->bij", a, b), (3,), (4,))
    over(group, "einsum_one", lambda x: ops.einsum("btf->bf", x), STEPS)
    over(group, "similarity", lambda a, b: ops.sum(a * b, axis=-1), (4,), (4,))


def attention(x, scores):
    weights = ops.softmax(scores, axis=1)
    return ops.sum(weights * x, axis=1)


def models(group):
    def build(of, source=steps):
        def made(rng):
            fed = source(rng)
            kind = "int32" if source is tokens else "float32"
            x = L.Input(fed.shape[1:], dtype=kind)
            return keras.Model(x, of(x)), [fed]

        return made

    def ops_attention(x):
        x = L.GRU(3, return_sequences=True)(x)
        return attention(x, L.Dense(1)(L.Dense(4, "tanh")(x)))

    def layer_attention(x):
        x = L.GRU(3, return_sequences=True)(x)
        scores = L.Activation("softmax")(L.Flatten()(L.Dense(1, "tanh")(x)))
        weights = L.Permute([2, 1])(L.RepeatVector(3)(scores))
        return ops.sum(L.Multiply()([x, weights]), axis=-2)

    def residual(x):
        x = L.Masking()(x)
        y = L.LSTM(3, return_sequences=True)(x)
        return L.GRU(2)(L.LayerNormalization()(x + y))

    def residual_layer(x):
        x = L.Masking()(x)
        y = L.LSTM(3, return_sequences=True)(x)
        return L.GRU(2)(L.Add()([x, y]))

    def masked_by_hand(x):
        there = ops.expand_dims(ops.cast(ops.not_equal(x, 0), "float32"), -1)
        words = L.Embedding(7, 3)(x)
        return ops.sum(words * there, axis=1) / (ops.sum(there, axis=1) + 1e-7)

    def hidden_scores(x):
        there = ops.equal(x, 0)
        words = L.Embedding(7, 3)(x)
        scores = L.Dense(1)(words)[..., 0]
        return attention(words, ops.expand_dims(ops.where(there, -1e9, scores), -1))

    def masked_tokens(x):
        words = L.Embedding(7, 3, mask_zero=True)(x)
        both = L.GRU(3, return_sequences=True)(words) * 0.5 + words
        return L.Concatenate()([L.GRU(2)(both), L.GRU(2)(words)])

    def one_hot(x):
        return L.GRU(3)(ops.one_hot(x, 7))

    def positions(x):
        x = L.Embedding(7, 3)(x) * np.sqrt(3).astype("float32") + TABLE[None]
        return L.GlobalAveragePooling1D()(L.LayerNormalization()(x))

    def last_of_both(x):
        x = L.Bidirectional(L.LSTM(2, return_sequences=True))(x)
        return ops.concatenate([x[:, -1, :2], x[:, 0, 2:]], axis=-1)

    def scaled_dot_product(x):
        q, k, v = (L.Dense(4)(x) for _ in range(3))
        heads = lambda x: ops.transpose(ops.reshape(x, (-1, T, 2, 2)), (0, 2, 1, 3))
        q, k, v = heads(q), heads(k), heads(v)
        weights = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / 2**0.5)
        return ops.mean(ops.reshape(ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3)), (-1, T, 4)), 1)

    def nested(x):
        inner = L.Input((T, 3))
        block = keras.Model(inner, inner + L.Dense(3, "relu")(inner) * 0.5)
        return block(block(x))[:, -1]

    def layers_broadcast(x):
        y = L.Dense(1)(x)
        row = L.GRU(3)(x)
        return L.Flatten()(L.Add()([L.Multiply()([x, y]), row]))

    for name, of, source in [
        ("attention_by_ops", ops_attention, steps),
        ("attention_by_layers", layer_attention, steps),
        ("residual", residual, steps),
        ("residual_layer", residual_layer, steps),
        ("masked_by_hand", masked_by_hand, tokens),
        ("hidden_scores", hidden_scores, tokens),
        ("masked_tokens", masked_tokens, tokens),
        ("one_hot", one_hot, tokens),
        ("positions_of_tokens", positions, tokens),
        ("last_of_both", last_of_both, steps),
        ("scaled_dot_product", scaled_dot_product, steps),
        ("nested", nested, steps),
        ("layers_broadcast", layers_broadcast, steps),
    ]:
        case(group, name, build(of, source))


def operations():
    group = Group("operations")
    for cases in (arithmetic, conditions, functions, reductions, shapes, products, models):
        cases(group)
    group.save()


if __name__ == "__main__":
    operations()

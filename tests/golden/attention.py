"""Write attention.safetensors: small models with attention layers, as in masked_models.py.

They are the models that people make of these layers: self-attention over a masked LSTM, an encoder and
a decoder that looks at it, a block of a Transformer. No output has a mask, so that the loss is plain.
"""

from masked_models import N, T, case, of, stack, steps, tokens  # isort: skip
from generate import Group, normal

import keras
from keras import layers as L


def words(mask=True, width=3, steps=T):
    x = L.Input((steps,), dtype="int32")
    return x, L.Embedding(7, width, mask_zero=mask)(x)


def seen(*ends):
    """What an RNN, which sees the mask, and all elements make of the outputs."""
    first, *others = ends
    return L.Concatenate()([L.GRU(2)(first), L.Flatten()(first), *[L.Flatten()(y) for y in others]])


def pairs(group, name, layer, masks=(True, True), key=False, **call):
    """A query of words, a value and perhaps a key of others."""

    def build(rng):
        (a, query), (b, value) = [words(mask) for mask in masks]
        inputs = [query, L.GRU(3, return_sequences=True)(value)]
        if key:
            inputs.append(L.Dense(3)(value))
        made = layer()
        together = not isinstance(made, L.MultiHeadAttention)
        ends = made(inputs, **call) if together else made(*inputs, **call)
        ends = ends if isinstance(ends, (list, tuple)) else [ends]
        return keras.Model([a, b], seen(*ends)), [tokens(rng), tokens(rng)[::-1].copy()]

    case(group, name, build)


def each_mask(group, name, layer, **call):
    for masks in [(True, True), (True, False), (False, True), (False, False)]:
        of_masks = "_".join(
            which for which, mask in zip(("query", "value"), masks) if mask
        )
        pairs(group, f"{name}_{of_masks or 'unmasked'}", layer, masks, **call)


def dot_product(group):
    each_mask(group, "attention", L.Attention)
    scores = dict(return_attention_scores=True)
    pairs(group, "attention_scores", of(L.Attention, use_scale=True), **scores)
    pairs(group, "attention_causal", of(L.Attention, dropout=0.0), use_causal_mask=True)
    pairs(group, "attention_key", of(L.Attention, use_scale=True), key=True, use_causal_mask=True)
    concat = of(L.Attention, score_mode="concat")
    each_mask(group, "attention_concat", concat)
    both = of(L.Attention, score_mode="concat", use_scale=True)
    pairs(group, "attention_concat_scale", both, key=True, **scores)
    each_mask(group, "additive", L.AdditiveAttention)
    plain = of(L.AdditiveAttention, use_scale=False)
    pairs(group, "additive_plain", plain, key=True, use_causal_mask=True, **scores)


def multi_head(group):
    mha = L.MultiHeadAttention
    each_mask(group, "multi_head", of(mha, 2, 3))
    each_mask(group, "multi_head_scores", of(mha, 2, 3), return_attention_scores=True)
    each_mask(group, "multi_head_causal", of(mha, 2, 3, value_dim=2), use_causal_mask=True)
    odd = of(mha, 3, 2, value_dim=4, output_shape=5, use_bias=False, attention_axes=1)
    pairs(group, "multi_head_key", odd, key=True, use_causal_mask=True)
    penalties = of(
        mha,
        2,
        2,
        kernel_regularizer="l2",
        bias_regularizer="l1",
        activity_regularizer="l2",
        kernel_constraint="non_neg",
    )
    pairs(group, "multi_head_penalties", penalties, (False, False))


def einsum(group):
    """The layer that projections of MultiHeadAttention are."""
    for name, equation, shape, axes, input in [
        ("units", "abc,cd->abd", (4, 5), "d", (4, 3)),
        ("dots", "...x,xy->...y", 5, "y", (4, 3)),
        ("right_dots", "ab...,bc->ac...", 5, "c", (4, 3)),
        ("features", "ab,bc->ac", 5, None, (3,)),
        ("heads", "abc,cde->abde", (4, 2, 3), "de", (4, 3)),
        ("head_bias", "abc,cde->abde", (4, 2, 3), "d", (4, 3)),
        ("together", "abcd,cde->abe", (2, 5), "e", (2, 2, 3)),
        ("over_time", "abc,bd->adc", (5, 3), "d", (4, 3)),
        ("turned", "abc,dc->adb", (5, 4), "db", (4, 3)),
        ("all_axes", "abc,cd->abd", (4, 2), "bd", (4, 3)),
    ]:
        layer = of(L.EinsumDense, equation, shape, bias_axes=axes, activation="tanh")
        data = lambda rng: normal(rng, N, *input)
        first = of(L.Dense, input[-1], activation="tanh")
        case(group, f"einsum_{name}", stack(data, first, layer, L.Flatten))
    layer = of(L.EinsumDense, "abc,cd->abd", (None, 5), bias_axes="d")
    data = lambda rng: normal(rng, N, 4, 3)
    case(group, "einsum_open", stack(data, layer, L.GlobalAveragePooling1D))


def models(group):
    def over_lstm(layer):
        def build(rng):
            x = L.Input((T, 3))
            read = L.LSTM(4, return_sequences=True)(L.Masking()(x))
            y = L.LayerNormalization()(layer(read))
            return keras.Model(x, L.Concatenate()([L.LSTM(3)(y), L.GlobalAveragePooling1D()(y)])), [
                # A step that is masked throughout has a mean of 0 / 0 in Keras.
                steps(rng)[[0, 1, 2, 4, 0]]
            ]

        return build

    case(group, "self_attention", over_lstm(lambda x: L.Attention(use_scale=True)([x, x])))
    case(group, "self_additive", over_lstm(lambda x: L.AdditiveAttention()([x, x])))
    case(group, "self_multi_head", over_lstm(lambda x: L.MultiHeadAttention(2, 3)(x, x)))

    def translator(attention):
        def build(rng):
            source, read = words()
            target, told = words(width=4)
            states, h, c = L.LSTM(4, return_sequences=True, return_state=True)(read)
            decoded = L.LSTM(4, return_sequences=True)(told, initial_state=[h, c])
            context = attention()([decoded, states])
            y = L.TimeDistributed(L.Dense(3, "tanh"))(L.Concatenate()([decoded, context]))
            return keras.Model([source, target], L.Flatten()(y)), [tokens(rng), tokens(rng)[::-1].copy()]

        return build

    case(group, "translator_luong", translator(L.Attention))
    case(group, "translator_bahdanau", translator(L.AdditiveAttention))

    def transformer(mask, causal):
        def block(x):
            attended = L.MultiHeadAttention(2, 2)(x, x, use_causal_mask=causal)
            x = L.LayerNormalization()(L.Add()([x, attended]))
            y = L.Dense(4)(L.Dense(6, "relu")(x))
            return L.LayerNormalization()(L.Add()([x, y]))

        def build(rng):
            x, embedded = words(mask, width=4)
            ends = [L.Flatten()(block(block(embedded))), L.GRU(2)(embedded)]
            return keras.Model(x, L.Concatenate()(ends)), [tokens(rng)]

        return build

    case(group, "transformer", transformer(False, False))
    case(group, "transformer_causal", transformer(False, True))
    case(group, "transformer_masked", transformer(True, True))


if __name__ == "__main__":
    group = Group("attention")
    for write in (dot_product, multi_head, einsum, models):
        write(group)
    group.save()

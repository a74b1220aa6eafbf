"""Write normalizations.safetensors: normalizations and softmaxes over any axes.

Small models of one layer each, described as in masked_models.py and checked by the same code. A
Dense layer in front takes what flows back through the layer.
"""

from masked_models import N, case, of, stack, steps  # isort: skip
from generate import Group, normal

from keras import layers as L


def around(group, name, axes, layer, rate=0.003):
    first = of(L.Dense, 4, activation="tanh")
    case(group, name, stack(lambda rng: normal(rng, N, *axes), first, layer, L.Flatten), rate)


ROWS, LINE, IMAGE = (3,), (5, 3), (3, 5, 2)


def layer_normalization(group):
    ln = L.LayerNormalization
    around(group, "layer_steps", LINE, of(ln, axis=1))
    around(group, "layer_all", LINE, of(ln, axis=(1, 2), epsilon=0.01))
    around(group, "layer_image_rows", IMAGE, of(ln, axis=1, center=False))
    around(group, "layer_image_columns", IMAGE, of(ln, axis=-2, scale=False))
    around(group, "layer_image_two", IMAGE, of(ln, axis=(1, 3)))
    around(group, "layer_image_behind", IMAGE, of(ln, axis=(-1, -2)))
    around(group, "layer_image_all", IMAGE, of(ln, axis=[3, 1, 2]))
    around(group, "layer_scaled", LINE, of(ln, rms_scaling=True))
    around(group, "layer_scaled_rows", ROWS, of(ln, rms_scaling=True, scale=False))
    around(group, "layer_scaled_two", IMAGE, of(ln, axis=(1, 2), rms_scaling=True, epsilon=0.1))


def batch_normalization(group):
    bn = L.BatchNormalization
    around(group, "batch_steps", LINE, of(bn, axis=1))
    around(group, "batch_image_rows", IMAGE, of(bn, axis=1, momentum=0.7))
    around(group, "batch_image_columns", IMAGE, of(bn, axis=2, scale=False))
    around(group, "batch_image_columns_behind", IMAGE, of(bn, axis=-2, center=False))
    around(group, "batch_image_last", IMAGE, of(bn, axis=3))


def group_normalization(group):
    gn = L.GroupNormalization
    around(group, "group_rows", ROWS, of(gn, groups=2))
    around(group, "group_steps", LINE, of(gn, groups=2, center=False))
    around(group, "group_one", LINE, of(gn, groups=1, epsilon=0.1))
    around(group, "group_each", LINE, of(gn, groups=-1))
    around(group, "group_image", IMAGE, of(gn, groups=2))
    around(group, "group_image_rows", IMAGE, of(gn, groups=3, axis=1, scale=False))
    around(group, "group_image_columns", IMAGE, of(gn, groups=5, axis=2))
    around(group, "group_image_columns_behind", (3, 6, 2), of(gn, groups=3, axis=-2))


def unit_normalization(group):
    un = L.UnitNormalization
    around(group, "unit_rows", ROWS, un)
    around(group, "unit_steps", LINE, of(un, axis=1))
    around(group, "unit_all", LINE, of(un, axis=(1, 2)))
    around(group, "unit_image_two", IMAGE, of(un, axis=[1, 3]))


def softmax(group):
    around(group, "softmax_all", LINE, of(L.Softmax, axis=(1, 2)))
    around(group, "softmax_image_two", IMAGE, of(L.Softmax, axis=(1, 3)))
    around(group, "softmax_image_behind", IMAGE, of(L.Softmax, axis=(-1, -2)))
    dense = of(L.Dense, 4, activation=L.Softmax(axis=(1, 2)))
    around(group, "softmax_activation", LINE, dense)


def flows(group):
    """What becomes of a mask in each layer, as an LSTM behind it sees it."""
    for layer in [of(L.GroupNormalization, 3), of(L.LayerNormalization, axis=1)]:
        name = f"flow_{layer().__class__.__name__.lower()}"
        case(group, name, stack(steps, L.Masking, layer, of(L.LSTM, 2)))
    dense, unit = of(L.Dense, 3, bias_initializer="ones"), L.UnitNormalization
    case(group, "flow_unit_normalization", stack(steps, L.Masking, dense, unit, of(L.LSTM, 2)))


if __name__ == "__main__":
    group = Group("normalizations")
    for write in (
        layer_normalization,
        batch_normalization,
        group_normalization,
        unit_normalization,
        softmax,
        flows,
    ):
        write(group)
    group.save()

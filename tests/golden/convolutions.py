"""Write convolutions.safetensors: convolutions in groups, depthwise, separable and transposed ones; images enlarged.

Small models of one layer each, described as in masked_models.py and checked by the same code. A
Dense layer in front takes what flows back through the layer.
"""

from masked_models import N, case, of, stack, steps  # isort: skip
from generate import Group, normal

from keras import layers as L


def around(group, name, axes, width, layer, rate=0.02):
    first = of(L.Dense, width, activation="tanh")
    case(group, name, stack(lambda rng: normal(rng, N, *axes), first, layer, L.Flatten), rate)


def grouped(group):
    line, image, volume = (8, 3), (6, 5, 2), (4, 3, 4, 2)
    around(group, "grouped1d", line, 4, of(L.Conv1D, 6, 3, groups=2, activation="tanh"))
    causal = dict(padding="causal", dilation_rate=2)
    around(group, "grouped1d_causal", line, 3, of(L.Conv1D, 6, 2, groups=3, **causal))
    strides = dict(strides=(2, 1), padding="same", use_bias=False)
    around(group, "grouped2d", image, 6, of(L.Conv2D, 4, (3, 2), groups=2, **strides))
    around(group, "grouped2d_pixels", image, 4, of(L.Conv2D, 4, 1, groups=2))
    around(group, "grouped2d_wide", (4, 3, 2), 32, of(L.Conv2D, 32, 2, groups=2), 0.0003)
    around(group, "grouped3d", volume, 4, of(L.Conv3D, 4, (2, 3, 2), groups=4, padding="same"), 0.005)


def depthwise(group):
    line, image = (8, 3), (6, 5, 2)
    around(group, "depthwise1d", line, 3, of(L.DepthwiseConv1D, 3, activation="sigmoid"))
    more = dict(strides=2, padding="same", depth_multiplier=2)
    around(group, "depthwise1d_multiplied", line, 3, of(L.DepthwiseConv1D, 3, **more))
    more = dict(padding="same", dilation_rate=2, use_bias=False)
    around(group, "depthwise1d_dilated", line, 3, of(L.DepthwiseConv1D, 2, **more))
    around(group, "depthwise2d", image, 4, of(L.DepthwiseConv2D, (3, 2), activation="relu"))
    more = dict(strides=2, padding="same", depth_multiplier=3)
    around(group, "depthwise2d_multiplied", image, 2, of(L.DepthwiseConv2D, 3, **more))
    around(group, "depthwise2d_dilated", image, 3, of(L.DepthwiseConv2D, 2, dilation_rate=(2, 3)))


def separable(group):
    line, image = (8, 3), (6, 5, 2)
    around(group, "separable1d", line, 3, of(L.SeparableConv1D, 4, 3, activation="tanh"))
    more = dict(strides=2, padding="same", depth_multiplier=2, use_bias=False)
    around(group, "separable1d_multiplied", line, 3, of(L.SeparableConv1D, 2, 3, **more))
    more = dict(padding="same", depth_multiplier=2)
    around(group, "separable2d", image, 3, of(L.SeparableConv2D, 4, (3, 2), **more))
    around(group, "separable2d_dilated", image, 3, of(L.SeparableConv2D, 2, 2, dilation_rate=2))
    around(group, "separable2d_strides", image, 3, of(L.SeparableConv2D, 2, 3, strides=2))


def transposed(group):
    """Without dilation, which TensorFlow does not have on a CPU."""
    line, image, volume = (5, 3), (4, 3, 2), (2, 3, 2, 2)
    conv = L.Conv1DTranspose
    around(group, "transposed1d", line, 3, of(conv, 4, 3, activation="tanh"))
    around(group, "transposed1d_strides", line, 3, of(conv, 2, 3, strides=2, padding="same"))
    around(group, "transposed1d_gaps", line, 3, of(conv, 2, 2, strides=3))
    around(group, "transposed1d_gaps_same", line, 3, of(conv, 2, 2, strides=3, padding="same"))
    padded = dict(strides=3, output_padding=2)
    around(group, "transposed1d_padded", line, 3, of(conv, 2, 4, **padded))
    around(group, "transposed1d_padded_same", line, 3, of(conv, 2, 5, padding="same", **padded))
    around(group, "transposed1d_even_same", line, 3, of(conv, 2, 4, padding="same", **padded))
    conv = L.Conv2DTranspose
    more = dict(strides=(2, 1), padding="same", use_bias=False)
    around(group, "transposed2d", image, 3, of(conv, 2, (3, 2), **more))
    around(group, "transposed2d_valid", image, 3, of(conv, 2, 2, strides=2, activation="sigmoid"))
    more = dict(strides=2, padding="same", output_padding=(1, 0))
    around(group, "transposed2d_padded", image, 3, of(conv, 2, 3, **more))
    conv = L.Conv3DTranspose
    around(group, "transposed3d", volume, 2, of(conv, 2, (2, 3, 2), strides=(1, 2, 2)), 0.005)
    around(group, "transposed3d_same", volume, 2, of(conv, 2, 3, strides=2, padding="same"), 0.005)


def interpolated(group):
    for size in [(2, 2), (3, 1), (2, 5), (4, 3)]:
        layer = of(L.UpSampling2D, size, interpolation="bilinear")
        around(group, f"bilinear_{size[0]}_{size[1]}", (3, 4, 2), 2, layer, 0.005)
    around(group, "bilinear_pixel", (1, 1, 2), 2, of(L.UpSampling2D, 3, interpolation="bilinear"))


def flows(group):
    """What becomes of a mask in each layer, as an LSTM behind it sees it."""
    for layer in [of(L.Conv1DTranspose, 3, 2), of(L.DepthwiseConv1D, 2), of(L.SeparableConv1D, 3, 2)]:
        name = f"flow_{layer().__class__.__name__.lower()}"
        case(group, name, stack(steps, L.Masking, layer, of(L.LSTM, 2)))


if __name__ == "__main__":
    group = Group("convolutions")
    for write in (grouped, depthwise, separable, transposed, interpolated, flows):
        write(group)
    group.save()

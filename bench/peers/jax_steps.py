"""JAX: training steps or inference of the review classifiers, timed.

Recurrent layers are a lax.scan over the steps; all of a step is compiled by XLA. There is no
ConvLSTM here.
"""

import jax
import jax.numpy as jnp
import numpy as np

from common import DROPOUT, PARAMETERS, UNITS, WORDS
from common import arguments, examples, measure

FEATURES = 32


def variants(experiment, training):
    if experiment == "next-frame":
        return []
    return ["xla", "tf32+xla"] if jax.default_backend() == "gpu" else ["xla"]


def weights(experiment):
    gates = UNITS if experiment == "simple-rnn" else 4 * UNITS
    shapes = {
        "embedding": (WORDS, FEATURES),
        "kernel": (FEATURES, gates),
        "recurrent": (UNITS, gates),
        "bias": (gates,),
        "dense": (UNITS, 1),
        "dense_bias": (1,),
    }
    if experiment == "cnn-lstm":
        shapes |= {"window": (3, FEATURES, FEATURES), "window_bias": (FEATURES,)}
    keys = jax.random.split(jax.random.key(0), len(shapes))
    drawn = zip(shapes.items(), keys)
    return {name: 0.05 * jax.random.normal(key, shape) for (name, shape), key in drawn}


def windows(w, x):
    """Conv1D(32, 3, relu) and MaxPooling1D(2) over `[B, T, F]`."""
    x = jax.lax.conv_general_dilated(x, w["window"], (1,), "SAME", None, None, ("NWC", "WIO", "NWC"))
    x = jax.nn.relu(x + w["window_bias"])
    return x[:, : x.shape[1] // 2 * 2].reshape(len(x), -1, 2, FEATURES).max(2)


def simple_rnn(w, x):
    step = lambda h, z: (jnp.tanh(z + h @ w["recurrent"]), None)
    return jax.lax.scan(step, jnp.zeros((x.shape[1], UNITS)), x @ w["kernel"] + w["bias"])[0]


def lstm(w, x, key):
    """With a key, dropout and recurrent dropout with factors of their own for each gate."""
    steps, batch, _ = x.shape
    if key is None:
        z, product = x @ w["kernel"] + w["bias"], lambda h: h @ w["recurrent"]
    else:
        keep = 1 - DROPOUT
        a, b = jax.random.split(key)
        factors = jax.random.bernoulli(a, keep, (batch, 4, FEATURES)) / keep
        seen = jax.random.bernoulli(b, keep, (batch, 4, UNITS)) / keep
        kernel = w["kernel"].reshape(FEATURES, 4, UNITS)
        recurrent = w["recurrent"].reshape(UNITS, 4, UNITS)
        z = jnp.einsum("tbf,bgf,fgu->tbgu", x, factors, kernel).reshape(steps, batch, -1)
        z = z + w["bias"]
        product = lambda h: jnp.einsum("bu,bgu,ugv->bgv", h, seen, recurrent).reshape(batch, -1)

    def step(state, z):
        h, c = state
        i, f, g, o = jnp.split(z + product(h), 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zeros = jnp.zeros((batch, UNITS))
    return jax.lax.scan(step, (zeros, zeros), z)[0][0]


def main():
    args = arguments(__doc__.splitlines()[0], variants)
    kind = args.experiment
    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if "tf32" in args.switches else "float32")

    def logits(w, tokens, key):
        x = w["embedding"][tokens]
        if kind == "cnn-lstm":
            x = windows(w, x)
        x = x.transpose(1, 0, 2)
        h = simple_rnn(w, x) if kind == "simple-rnn" else lstm(w, x, key)
        return h @ w["dense"] + w["dense_bias"]

    def loss(w, tokens, labels, key):
        z = logits(w, tokens, key)
        return jnp.mean(jnp.maximum(z, 0) - z * labels + jnp.log1p(jnp.exp(-jnp.abs(z))))

    @jax.jit
    def adam(w, slots, t, tokens, labels, key):
        value, gradient = jax.value_and_grad(loss)(w, tokens, labels, key)
        slots = jax.tree.map(
            lambda g, s: (0.9 * s[0] + 0.1 * g, 0.999 * s[1] + 0.001 * g * g), gradient, slots
        )
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        move = lambda w, s: w - rate * s[0] / (jnp.sqrt(s[1]) + 1e-7)
        return value, jax.tree.map(move, w, slots), slots

    w = weights(kind)
    assert sum(map(jnp.size, w.values())) == PARAMETERS[kind]
    slots = {name: (jnp.zeros_like(v), jnp.zeros_like(v)) for name, v in w.items()}
    x, y = (jnp.asarray(a) for a in examples(args, np.random.default_rng(1)))
    forward = jax.jit(lambda w, tokens: jax.nn.sigmoid(logits(w, tokens, None)))
    t, keys = 0, jax.random.key(1)

    def train():
        nonlocal w, slots, t
        t += 1
        key = jax.random.fold_in(keys, t) if kind == "lstm-dropout" else None
        value, w, slots = adam(w, slots, float(t), x, y, key)
        value.block_until_ready()

    device = jax.devices()[0]
    name = device.device_kind if device.platform == "gpu" else "CPU"
    step = (lambda: np.asarray(forward(w, x))) if args.inference else train
    measure(f"JAX {jax.__version__}", name, args, step)


if __name__ == "__main__":
    main()

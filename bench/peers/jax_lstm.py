"""JAX: training steps of the review classifier, timed.

Embedding(5000, 32) -> LSTM(128) as lax.scan -> Dense(1) on batches of 128 random
reviews of 500 words, float32, plain gradient descent, binary cross-entropy.
"""

import statistics
import time

import jax
import jax.numpy as jnp

BATCH, LENGTH, WORDS, UNITS, STEPS, WARM_UP = 128, 500, 5000, 128, 50, 10


def logits(weights, tokens):
    x = weights["embedding"][tokens.T] @ weights["kernel"] + weights["bias"]

    def step(state, x):
        h, c = state
        i, f, g, o = jnp.split(x + h @ weights["recurrent"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zeros = jnp.zeros((tokens.shape[0], UNITS))
    (h, _), _ = jax.lax.scan(step, (zeros, zeros), x)
    return (h @ weights["dense"])[:, 0]


def loss(weights, tokens, labels):
    z = logits(weights, tokens)
    return jnp.mean(jnp.maximum(z, 0) - z * labels + jnp.log1p(jnp.exp(-jnp.abs(z))))


@jax.jit
def train_step(weights, tokens, labels):
    value, gradient = jax.value_and_grad(loss)(weights, tokens, labels)
    return value, jax.tree.map(lambda w, g: w - 0.01 * g, weights, gradient)


def main():
    shapes = {
        "embedding": (WORDS, 32),
        "kernel": (32, 4 * UNITS),
        "recurrent": (UNITS, 4 * UNITS),
        "bias": (4 * UNITS,),
        "dense": (UNITS, 1),
    }
    keys = jax.random.split(jax.random.key(0), len(shapes) + 2)
    drawn = zip(shapes.items(), keys)
    weights = {name: 0.05 * jax.random.normal(key, shape) for (name, shape), key in drawn}
    tokens = jax.random.randint(keys[-2], (BATCH, LENGTH), 0, WORDS)
    labels = jax.random.bernoulli(keys[-1], 0.5, (BATCH,)).astype(jnp.float32)
    times = []
    for _ in range(WARM_UP + STEPS):
        start = time.perf_counter()
        value, weights = train_step(weights, tokens, labels)
        value.block_until_ready()
        times.append(time.perf_counter() - start)
    median = statistics.median(times[WARM_UP:])
    print(f"jax {jax.__version__} on {jax.devices()[0]}: median step {1e3 * median:.3f} ms")


if __name__ == "__main__":
    main()

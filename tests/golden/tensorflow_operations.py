"""Write tensorflow_operations.safetensors: small models of Keras 2 that call functions of TensorFlow.

Cases are described as in masked_models.py. `pip install tf_keras==2.21.0` has that Keras.
"""

from generate import Group, normal  # isort: skip  First: it sets how TensorFlow computes.

import json

import tensorflow as tf
import tf_keras as keras
from tf_keras import layers as L

N, T = 5, 4


def case(group, name, build, *shapes):
    keras.backend.clear_session()
    rng = group.rng(name)
    inputs = [L.Input(shape) for shape in shapes]
    model = keras.Model(inputs, L.Dense(2, name="head")(L.Flatten()(build(*inputs))))
    fed = [normal(rng, N, *shape) for shape in shapes]
    tensors = {f"x{i}": x for i, x in enumerate(fed)}
    fed = fed[0] if len(fed) == 1 else fed
    for layer in model.layers:
        layer.set_weights([normal(rng, *w.shape, scale=0.5) for w in layer.weights])
        tensors |= {f"{layer.name}:{i}": w for i, w in enumerate(layer.get_weights())}
    tensors["output"] = model(fed).numpy()
    tensors["y"] = normal(rng, *tensors["output"].shape)
    model.compile(keras.optimizers.SGD(0.1), "mean_squared_error", run_eagerly=True)
    tensors["losses"] = [float(model.train_on_batch(fed, tensors["y"])) for _ in range(3)]
    for layer in model.layers:
        tensors |= {f"{layer.name}:{i}:after": w for i, w in enumerate(layer.get_weights())}
    args = {"model": json.loads(model.to_json()), "inputs": len(shapes)}
    optimizer = {"class_name": "SGD", "config": {"learning_rate": 0.1}}
    group.add(name, args | {"optimizer": optimizer}, tensors)


def gru(x):
    return L.GRU(3, return_sequences=True)(x)


def attention(x):
    x = gru(x)
    weights = tf.nn.softmax(L.Dense(1, "tanh")(x), axis=1)
    return tf.reduce_sum(weights * x, axis=1)


def gate(a, b):
    g = tf.sigmoid(L.Dense(3)(a))
    return g * a + (1.0 - g) * b / 2.0 - tf.maximum(a, 0.1) + tf.square(b) + tf.pow(a, 2)


def slices(x):
    x = gru(x)
    return tf.concat([x[:, -1], x[:, 0, :2], tf.reduce_max(x[:, ::2], axis=1)], axis=-1)


def scores(a, b):
    a, b = gru(a), gru(b)
    weights = tf.nn.softmax(tf.matmul(a, b, transpose_b=True) / 1.5)
    return tf.matmul(weights, b) + tf.transpose(tf.reshape(a, [-1, 3, T]), [0, 2, 1])


def masked(x):
    x = L.Masking()(x)
    return L.GRU(2)(x + L.Dense(3)(x))


def chosen(a, b):
    a, b = L.Dense(3)(a), L.Dense(3)(b)
    some = tf.cast(tf.reduce_any(a > 0.5, axis=-1, keepdims=True), tf.float32)
    both = tf.where(a > b, a, tf.clip_by_value(b, -0.5, 0.5)) * (1.0 + some)
    stacked = tf.stack([both, tf.abs(a)], axis=1)
    first, second = tf.split(stacked, 2, axis=2)
    return tf.squeeze(tf.expand_dims(first, 1), 1) + tf.tile(second, [1, 1, 1, 1])


if __name__ == "__main__":
    group = Group("tensorflow_operations")
    steps = (T, 3)
    case(group, "attention", attention, steps)
    case(group, "gate", gate, steps, steps)
    case(group, "slices", slices, steps)
    case(group, "scores", scores, steps, steps)
    case(group, "masked", masked, steps)
    case(group, "chosen", chosen, steps, steps)
    group.save()

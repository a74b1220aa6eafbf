"""Write zero_debias.safetensors: batch normalization as Keras 2.1.3 to 2.2.5 trained it.

Its moving averages were TensorFlow's assign_moving_average with zero_debias, of the batch's mean
and of its variance times n / (n - (1 + epsilon)) (keras/layers/normalization.py and
keras/backend/tensorflow_backend.py of Keras 2.2.4). That function of TensorFlow 2.21 is called
here, in a graph of TensorFlow 1; the rest of the layer is Keras 3's, which is the same.
"""

from generate import Group, normal  # isort: skip  First: it sets how TensorFlow computes.

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.training.moving_averages import assign_moving_average

STEPS = 4


def averages(values, first, momentum):
    """The variable after each of the values."""
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        variable = tf.compat.v1.get_variable("v", initializer=first.astype(np.float32))
        value = tf.compat.v1.placeholder(tf.float32, first.shape)
        update = assign_moving_average(variable, value, momentum, zero_debias=True)
        session.run(tf.compat.v1.global_variables_initializer())
        after = []
        for v in values:
            session.run(update, {value: v})
            after.append(session.run(variable))
        return after


def zero_debias():
    group = Group("zero_debias")
    for case, shape, settings in [
        ("rows", (6, 5), {}),
        ("films", (2, 3, 2, 2, 5), {"momentum": 0.8, "epsilon": 1e-2}),
        ("low_momentum", (7, 5), {"momentum": 0.3}),
    ]:
        rng = group.rng(case)
        layer = keras.layers.BatchNormalization(**settings)
        layer.build(shape)
        # As a model file leaves them: the first value replaces both averages.
        weights = [normal(rng, 5), normal(rng, 5), normal(rng, 5), rng.uniform(0.5, 2.0, 5)]
        xs = [normal(rng, *shape, scale=2.0) + step for step in range(STEPS)]
        axes = tuple(range(len(shape) - 1))
        n = np.prod(shape[:-1])
        factor = n / (n - (1.0 + layer.epsilon))
        wide = [x.astype(np.float64) for x in xs]
        means = averages([x.mean(axes) for x in wide], weights[2], layer.momentum)
        variances = [x.var(axes) * factor for x in wide]
        variances = averages(variances, weights[3], layer.momentum)
        tensors = {f"w{i}": w for i, w in enumerate(weights)}
        tensors["probe"] = normal(rng, *shape)
        layer.set_weights(weights)
        for step, x in enumerate(xs):
            x = tf.constant(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                output = layer(x, training=True)
            d_output = normal(rng, *shape)
            sources = [x, layer.gamma.value, layer.beta.value]
            gradients = tape.gradient(output, sources, output_gradients=d_output)
            tensors |= {f"x{step}": x, f"d_output{step}": d_output, f"output{step}": output}
            tensors |= {f"{n}{step}": g for n, g in zip(["d_x", "d_gamma", "d_beta"], gradients)}
            layer.moving_mean.assign(means[step])
            layer.moving_variance.assign(variances[step])
            tensors[f"moving_mean{step}"] = means[step]
            tensors[f"moving_variance{step}"] = variances[step]
            tensors[f"inference{step}"] = layer(tensors["probe"], training=False)
        args = {"momentum": layer.momentum, "epsilon": layer.epsilon, "steps": STEPS}
        group.add(case, args, tensors)
    group.save()


if __name__ == "__main__":
    zero_debias()

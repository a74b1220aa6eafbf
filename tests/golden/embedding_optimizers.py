"""Write embedding_optimizers.safetensors: tokens that repeat in a batch, with Keras on torch.

On TensorFlow the gradient of a token that repeats reaches an optimizer as several slices, of which
each moves the moments by itself; on torch, as by definition, it is their sum. A case holds the same
as those of masked_models.py and the optimizer; requirements-torch.txt pins what computed it.
"""

import json
import os
import zlib
from pathlib import Path

os.environ.update(KERAS_BACKEND="torch", CUDA_VISIBLE_DEVICES="-1")

import keras
import numpy as np
import torch
from safetensors.numpy import save_file

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

HERE = Path(__file__).resolve().parent
STEPS = 5


def main():
    cases, tensors = [], {}
    for name, optimizer, settings in [
        ("sgd_momentum", "SGD", {"momentum": 0.9}),
        ("rmsprop", "RMSprop", {}),
        ("rmsprop_centered", "RMSprop", {"centered": True, "momentum": 0.5}),
        ("adagrad", "Adagrad", {}),
        ("adadelta", "Adadelta", {"learning_rate": 1.0}),
        ("adam", "Adam", {}),
        ("adamw", "AdamW", {}),
        ("nadam", "Nadam", {}),
    ]:
        rng = np.random.default_rng(zlib.crc32(f"embedding_optimizers/{name}".encode()))
        keras.utils.clear_session()
        # Some tokens occur often, some once, and some not at all.
        x = (rng.integers(0, 5, (6, 4)) * rng.integers(0, 2, (6, 4))).astype(np.int32)
        x[0, 0] = 7
        embedding, dense = keras.layers.Embedding(9, 3), keras.layers.Dense(2)
        layers = [keras.layers.Input((4,), dtype="int32"), embedding, keras.layers.Flatten(), dense]
        model = keras.Sequential(layers)
        own = {}
        for layer in (embedding, dense):
            shapes = [v.shape for v in layer.weights]
            layer.set_weights([0.5 * rng.standard_normal(shape) for shape in shapes])
            own |= {f"{layer.name}:{i}": w for i, w in enumerate(layer.get_weights())}
        own["x0"] = x
        own["output"] = model(x).detach().numpy()
        own["y"] = rng.standard_normal((6, 2)).astype(np.float32)
        settings = {"learning_rate": 0.01} | settings
        moves = getattr(keras.optimizers, optimizer)(**settings)
        model.compile(moves, "mean_squared_error")
        losses = [float(model.train_on_batch(x, own["y"])) for _ in range(STEPS)]
        own["losses"] = np.array(losses)
        for layer in (embedding, dense):
            own |= {f"{layer.name}:{i}:after": w for i, w in enumerate(layer.get_weights())}
        config = json.loads(json.dumps(moves.get_config()))
        described = {"class_name": optimizer, "config": config}
        model_json = json.loads(model.to_json())
        cases.append({"name": name, "inputs": 1, "model": model_json, "optimizer": described})
        for key, value in own.items():
            value = np.ascontiguousarray(value)
            value = value if value.dtype == np.int32 else value.astype(np.float32)
            tensors[f"{name}/{key}"] = value
    path = HERE / "embedding_optimizers.safetensors"
    save_file(tensors, path, metadata={"cases": json.dumps(cases)})
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

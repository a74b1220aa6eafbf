"""surface.py FILE: the layers, losses, optimizers and schedules that Keras has, with their arguments.

Of each loss, optimizer and schedule there is the description that Keras writes of its defaults, and what
differs in it where an argument has another value. `crates/rnn-gpu/tests/keras_table.rs`
reads the file, tries each description, and writes docs/keras.md.

The file, tests/interchange/files/surface.json, was written by Keras 3.15.1.
"""

import inspect
import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

# Classes that others derive from, and what is no layer of a model.
NOT_LAYERS = {"Layer", "InputLayer", "Wrapper"}
NOT_LOSSES = {"Loss"}
NOT_OPTIMIZERS = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}

# What a class cannot be without.
NEEDED = {
    "CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 10},
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "PiecewiseConstantDecay": {"boundaries": [5], "values": [0.1, 0.01]},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "Muon": {},
}

# Of these types a value that is not the default.
VALUES = {
    "reduction": "sum",
    "name": "another",
    "dtype": "float64",
    "ignore_class": 0,
    "axis": 1,
    "learning_rate": 0.5,
    "clipnorm": 0.5,
    "clipvalue": 0.5,
    "global_clipnorm": 0.5,
    "weight_decay": 0.004,
    "ema_overwrite_frequency": 3,
    "loss_scale_factor": 2.0,
    "gradient_accumulation_steps": 2,
    "use_ema": True,
    "ema_momentum": 0.9,
    "warmup_target": 0.2,
    "warmup_steps": 2,
    "beta_2_decay": -0.5,
    "exclude_layers": ["dense"],
    "exclude_embeddings": False,
    "learning_rate_power": -0.4,
    "alpha": 0.3,
}


def other(argument, default):
    if argument in VALUES:
        return VALUES[argument]
    if isinstance(default, bool):
        return not default
    if isinstance(default, (int, float)):
        return default + 1 if isinstance(default, int) else default / 2 + 0.1
    raise SystemExit(f"no value for the argument {argument} = {default}")


def arguments(cls):
    """Those of the constructors of a class and of what it derives from."""
    found = {}
    for base in cls.__mro__:
        own = inspect.signature(vars(base).get("__init__", lambda: None)).parameters.values()
        for p in own:
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self":
                found.setdefault(p.name, p.default)
    return found


def descriptions(module, cls):
    needed = NEEDED.get(cls.__name__, {})
    plain = slim(module.serialize(cls(**needed)))
    cases = [plain]
    for argument, default in arguments(cls).items():
        if argument in needed or default is inspect.Parameter.empty or argument == "fn":
            continue
        given = {**needed, argument: other(argument, default)}
        if argument == "ema_momentum" or argument == "ema_overwrite_frequency":
            given["use_ema"] = True
        if argument.startswith("warmup_"):
            given.update(warmup_target=0.2, warmup_steps=2)
        try:
            made = cls(**given)
        except (TypeError, ValueError, NotImplementedError) as error:
            print(f"{cls.__name__}, {argument}: {error}", file=sys.stderr)
            continue
        config = slim(module.serialize(made))["config"]
        differs = {k: v for k, v in config.items() if v != plain["config"][k]}
        cases.append({"argument": argument, "config": differs})
    return cases


def slim(config):
    if isinstance(config, dict):
        return {k: slim(v) for k, v in config.items() if k not in ("module", "registered_name")}
    return [slim(v) for v in config] if isinstance(config, (list, tuple)) else config


def classes(module, base, without):
    for name in sorted(vars(module)):
        cls = getattr(module, name)
        # Of several names of a class, its own.
        if inspect.isclass(cls) and issubclass(cls, base) and cls.__name__ == name and name not in without:
            yield cls


def main(path):
    families = {
        "losses": (keras.losses, keras.losses.Loss, NOT_LOSSES),
        "optimizers": (keras.optimizers, keras.optimizers.Optimizer, NOT_OPTIMIZERS),
        "schedules": (
            keras.optimizers.schedules,
            keras.optimizers.schedules.LearningRateSchedule,
            {"LearningRateSchedule"},
        ),
    }
    surface = {
        "keras": keras.__version__,
        "layers": [cls.__name__ for cls in classes(keras.layers, keras.layers.Layer, NOT_LAYERS)],
        "metrics": [cls.__name__ for cls in classes(keras.metrics, keras.metrics.Metric, {"Metric"})],
    }
    for family, (module, base, without) in families.items():
        found = {cls.__name__: descriptions(module, cls) for cls in classes(module, base, without)}
        surface[family] = found
    with open(path, "w") as file:
        file.write("{\n")
        parts = []
        for key, value in surface.items():
            if isinstance(value, dict):
                inner = ",\n".join(f"  {json.dumps(name)}: {json.dumps(cases)}" for name, cases in value.items())
                parts.append(f"{json.dumps(key)}: {{\n{inner}\n}}")
            else:
                parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
        file.write(",\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1])

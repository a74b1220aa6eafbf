"""Random choices that a seed decides."""

import numpy as np


class Draw:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        # Whether recurrent layers keep their states from batch to batch.
        self.stateful = self.chance(0.04)
        # Whether the layers that are drawn stand in a wrapper.
        self.wrapped = False

    def chance(self, probability):
        return bool(self.random.random() < probability)

    def pick(self, options):
        return options[int(self.random.integers(len(options)))]

    def weighted(self, table):
        """One of [(weight, option), ..]."""
        weights = np.array([weight for weight, _ in table], float)
        return table[int(self.random.choice(len(table), p=weights / weights.sum()))][1]

    def whole(self, low, high):
        """A whole number, both ends included."""
        return int(self.random.integers(low, high + 1))

    def number(self, low, high):
        """A number of few digits, the same in f32 and in a file."""
        return round(float(self.random.uniform(low, high)), 3)

    def normal(self, shape, scale=1.0):
        return (self.random.normal(size=shape) * scale).astype("float32")

    def some(self, probability=0.3, **options):
        """Arguments, each given with this probability; an option is a value to pick or to call."""
        given = {}
        for name, values in options.items():
            if self.chance(probability):
                value = values(self) if callable(values) else self.pick(values)
                given[name] = value
        return given

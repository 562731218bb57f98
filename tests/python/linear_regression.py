"""The local training: y = w.x + b, fitted by gradient descent to examples that this site makes up.

The examples follow from the site's name, so that each task of a run trains on the same ones. All sites share the true
weights: averaging their updates finds them.
"""

import math
import random
from array import array
from operator import mul

LARGEST_DIMENSION = 1 << 20
LARGEST_MAGNITUDE = 2.0**31


class NotTrainable(Exception):
    """Why a task is declined: the code for the coordinator and the words for its operator."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


class Examples:
    """The examples of the site `name`, with `dimension` features each."""

    def __init__(self, name: str, dimension: int):
        chance = random.Random(f"federated examples of {name}")
        self.count = chance.randint(24, 40)
        # Any learning rate below 0.5 is stable with features of this size.
        scale = 1 / math.sqrt(dimension)
        true_weight = [math.sin(j + 1) for j in range(dimension)]
        self.features = [
            array("d", (scale * (2 * chance.random() - 1) for _ in range(dimension))) for _ in range(self.count)
        ]
        self.targets = [sum(map(mul, true_weight, x)) + 0.5 + chance.gauss(0, 0.01) for x in self.features]

    def error(self, weight, bias: float, index: int) -> float:
        return sum(map(mul, weight, self.features[index])) + bias - self.targets[index]

    def loss(self, weight, bias: float) -> float:
        return sum(self.error(weight, bias, i) ** 2 for i in range(self.count)) / self.count


def places(layout, f32: int) -> tuple[slice, slice]:
    """Where `weight` [d, 1] and `bias` [1] lie among the values. Other layouts are declined."""
    found, start = {}, 0
    for tensor in layout.tensors:
        end = start + math.prod(tensor.shape)
        if tensor.element_type == f32:
            found[tensor.name, len(tensor.shape), tensor.shape[-1] if tensor.shape else 0] = slice(start, end)
        start = end
    weight, bias = found.get(("weight", 2, 1)), found.get(("bias", 1, 1))
    if len(layout.tensors) != 2 or not weight or not bias or start > LARGEST_DIMENSION + 1:
        shapes = ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in layout.tensors[:8])
        raise NotTrainable("LAYOUT_UNSUPPORTED", f"expected the tensors weight [d, 1] and bias [1], found {shapes}")
    return weight, bias


def train(task, examples: Examples, received: array, at: tuple[slice, slice], stopped) -> tuple[array, dict]:
    """Does the task: the change of the model, trained minus received, and the metrics. `stopped()` ends it early."""
    weight, bias = array("d", received[at[0]]), received[at[1]][0]
    order = list(range(examples.count))
    shuffle = random.Random(task.seed)
    batch = task.batch_size or examples.count
    for _ in range(task.local_epochs):
        shuffle.shuffle(order)
        for start in range(0, examples.count, batch):
            if stopped():
                raise NotTrainable("TRAINING_STOPPED", "the training was stopped")
            weight, bias = step(weight, bias, examples, order[start : start + batch], task.learning_rate)
    delta = array("f", bytes(4 * len(received)))
    delta[at[0]] = array("f", map(lambda new, old: as_f32(as_f32(new) - old), weight, received[at[0]]))
    delta[at[1]] = array("f", [as_f32(as_f32(bias) - received[at[1]][0])])
    if not all(abs(value) < LARGEST_MAGNITUDE for value in delta):
        raise NotTrainable("TRAINING_DIVERGED", "the training diverged: try a smaller learning rate")
    return delta, {"loss": examples.loss(weight, bias)}


def step(weight, bias: float, examples: Examples, chosen: list[int], learning_rate: float):
    """One step of gradient descent on the mean squared error of the examples `chosen`."""
    errors = [examples.error(weight, bias, i) for i in chosen]
    factor = 2 * learning_rate / len(chosen)
    for error, i in zip(errors, chosen):
        change = factor * error
        weight = array("d", [w - change * x for w, x in zip(weight, examples.features[i])])
    return weight, bias - factor * sum(errors)


def as_f32(value: float) -> float:
    """The nearest 32-bit float; infinite when there is none."""
    return array("f", [value])[0] if abs(value) < 3.4e38 else math.inf

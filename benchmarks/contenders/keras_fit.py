"""Keras 3 `fit`, as most astronomers train: one repeat at a time."""

import os
from typing import Any

import numpy as np

from benchmarks.contenders.problem import NotHere, Problem, optional

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = optional("keras")


class KerasFit:
    """The thesis's network with the problem's starting weights, SGD and categorical cross-entropy."""

    def __init__(self, problem: Problem) -> None:
        if keras is None:
            raise NotHere("Keras is not installed, or its backend does not start")
        self.repeat_steps = problem.steps
        self._batch_size = problem.batch_size
        self._images, self._labels = problem.data()
        self._order = np.concatenate(problem.batches())
        layers: list[Any] = [keras.Input(self._images.shape[1:])]
        parameters = problem.parameters()
        for name in ("conv_1", "conv_2", "conv_3"):
            size, _, _, filters = parameters[name]["kernel"].shape
            layers += [
                keras.layers.Conv2D(filters, size, padding="same", activation="relu", name=name),
                keras.layers.MaxPooling2D(),
            ]
        layers.append(keras.layers.Flatten())
        for name in (name for name in parameters if name.startswith("dense")):
            units = len(parameters[name]["bias"])
            layers += [keras.layers.Dense(units, "relu", name=name), keras.layers.Dropout(problem.dropout)]
        layers.append(keras.layers.Dense(2, name="output"))
        self._model = keras.Sequential(layers)
        for name, layer in parameters.items():
            self._model.get_layer(name).set_weights([layer["kernel"], layer["bias"]])
        self._model.compile(
            keras.optimizers.SGD(problem.learning_rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )

    @staticmethod
    def backend() -> str:
        """Which framework Keras runs on."""
        return str(keras.backend.backend()) if keras is not None else ""

    def run(self) -> float:
        """As `Contender.run`."""
        images, labels = self._images[self._order], self._labels[self._order]
        done = self._model.fit(images, labels, batch_size=self._batch_size, epochs=1, shuffle=False, verbose=0)
        return float(done.history["loss"][0])

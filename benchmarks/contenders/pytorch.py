"""PyTorch: one repeat at a time as users write it and as they tune it, and all repeats by `torch.func`."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.contenders.problem import NotHere, Problem, optional

torch = optional("torch")


def _require_torch() -> Any:
    if torch is None:
        raise NotHere("PyTorch is not installed")
    return torch


def _device() -> str:
    return "cuda" if _require_torch().cuda.is_available() else "cpu"


def make_network(problem: Problem) -> Any:
    """The thesis's network with the problem's starting weights, reading images as (batch, 1, height, width)."""
    nn = _require_torch().nn
    layers: list[Any] = []
    parameters = problem.parameters()
    with torch.no_grad():
        for name in ("conv_1", "conv_2", "conv_3"):
            kernel = parameters[name]["kernel"]
            size, _, bands, filters = kernel.shape
            if size % 2 == 0:  # "same" with an even kernel pads at the end
                layers.append(nn.ZeroPad2d((0, 1, 0, 1)))
            convolution = nn.Conv2d(bands, filters, size, padding=size // 2 if size % 2 else 0)
            convolution.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()))
            convolution.bias.copy_(torch.from_numpy(parameters[name]["bias"].copy()))
            layers += [convolution, nn.ReLU(), nn.MaxPool2d(2)]
        layers.append(nn.Flatten())
        for name in (*(name for name in parameters if name.startswith("dense")), "output"):
            kernel = parameters[name]["kernel"]
            if name == "dense_1":  # PyTorch flattens features with the filter first
                side = problem.image_size // 8
                kernel = kernel.reshape(side, side, -1, kernel.shape[1]).transpose(2, 0, 1, 3).reshape(kernel.shape)
            linear = nn.Linear(*kernel.shape)
            linear.weight.copy_(torch.from_numpy(kernel.T.copy()))
            linear.bias.copy_(torch.from_numpy(parameters[name]["bias"].copy()))
            layers += [linear, nn.ReLU(), nn.Dropout(problem.dropout)]
    return nn.Sequential(*layers[:-2]).to(_device())


class OneAtATime:
    """One repeat, step by step from Python."""

    def __init__(
        self, problem: Problem, *, channels_last: bool = False, fused: bool = False, compiled: bool = False
    ) -> None:
        self.repeat_steps = problem.steps
        network = make_network(problem)
        images, labels = problem.data()
        self._images = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(_device())
        self._labels = torch.from_numpy(labels).long().to(_device())
        if channels_last:
            network = network.to(memory_format=torch.channels_last)
            self._images = self._images.contiguous(memory_format=torch.channels_last)
        self._batches = [torch.from_numpy(batch.astype(np.int64)).to(_device()) for batch in problem.batches()]
        optimiser = torch.optim.SGD(network.parameters(), lr=problem.learning_rate, fused=fused)

        def loss_and_gradient(images: Any, labels: Any) -> Any:
            loss = torch.nn.functional.cross_entropy(network(images), labels)
            loss.backward()
            return loss.detach()

        compute = torch.compile(loss_and_gradient) if compiled else loss_and_gradient

        def step(batch: Any) -> Any:
            optimiser.zero_grad()
            loss = compute(self._images[batch], self._labels[batch])
            optimiser.step()
            return loss

        self._step: Callable[[Any], Any] = step
        if compiled:
            self._compile(network)

    def _compile(self, network: Any) -> None:
        """Compile by computing a gradient that is thrown away."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for batch in (self._batches[0], self._batches[-1]):
                    kept = {name: value.clone() for name, value in network.state_dict().items()}
                    self._step(batch)
                    network.load_state_dict(kept)
        except Exception as error:
            raise NotHere(f"torch.compile does not work here ({type(error).__name__}: {error!s:.80})") from error

    def run(self) -> float:
        """As `Contender.run`."""
        losses = [self._step(batch) * len(batch) for batch in self._batches]
        return float(torch.stack(losses).sum()) / sum(len(batch) for batch in self._batches)


class CudaGraph:
    """One repeat, the whole step captured once in a CUDA graph and replayed: PyTorch without its launch costs."""

    def __init__(self, problem: Problem) -> None:
        if _device() != "cuda":
            raise NotHere("CUDA graphs need an NVIDIA GPU")
        full = [batch for batch in problem.batches() if len(batch) == problem.batch_size]
        self.repeat_steps = len(full)
        network = make_network(problem).to(memory_format=torch.channels_last)
        images, labels = problem.data()
        self._all_images = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).cuda()
        self._all_labels = torch.from_numpy(labels).long().cuda()
        self._batches = [torch.from_numpy(batch.astype(np.int64)).cuda() for batch in full]
        self._chosen = self._batches[0].clone()
        optimiser = torch.optim.SGD(network.parameters(), lr=problem.learning_rate, fused=True)

        def step() -> Any:
            optimiser.zero_grad(set_to_none=False)
            images = self._all_images[self._chosen].contiguous(memory_format=torch.channels_last)
            loss = torch.nn.functional.cross_entropy(network(images), self._all_labels[self._chosen])
            loss.backward()
            optimiser.step()
            return loss.detach()

        kept = {name: value.clone() for name, value in network.state_dict().items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._loss = step()
        network.load_state_dict(kept)

    def run(self) -> float:
        """As `Contender.run`, over the full batches."""
        total = torch.zeros((), device="cuda")
        for batch in self._batches:
            self._chosen.copy_(batch)
            self._graph.replay()
            total += self._loss
        return float(total) / len(self._batches)


class Ensemble:
    """All repeats together: `torch.func.vmap` over stacked weights, as PyTorch's tutorial on ensembles does it."""

    def __init__(self, problem: Problem, repeats: int) -> None:
        self.repeat_steps = repeats * problem.steps
        network = make_network(problem)
        images, labels = problem.data()
        self._images = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(_device())
        self._labels = torch.from_numpy(labels).long().to(_device())
        self._batches = [torch.from_numpy(batch.astype(np.int64)).to(_device()) for batch in problem.batches()]
        self._parameters = {
            name: value.detach().unsqueeze(0).repeat(repeats, *[1] * value.ndim)
            for name, value in network.named_parameters()
        }
        self._rate = problem.learning_rate

        def loss(parameters: Any, images: Any, labels: Any) -> Any:
            return torch.nn.functional.cross_entropy(torch.func.functional_call(network, parameters, images), labels)

        gradient = torch.func.grad_and_value(loss)
        self._gradients = torch.func.vmap(gradient, in_dims=(0, None, None), randomness="different")

    def run(self) -> float:
        """As `Contender.run`."""
        losses = []
        for batch in self._batches:
            gradients, loss = self._gradients(self._parameters, self._images[batch], self._labels[batch])
            with torch.no_grad():
                for name, value in self._parameters.items():
                    value.sub_(gradients[name], alpha=self._rate)
            losses.append(loss[0] * len(batch))
        return float(torch.stack(losses).sum()) / sum(len(batch) for batch in self._batches)

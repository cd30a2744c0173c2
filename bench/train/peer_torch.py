"""The peer of `make bench-train`: the trainer's fit in PyTorch. Prints one line of JSON, as ours does.

Found by trying: batches by index out of one tensor instead of a DataLoader, AdamW fused, no value fetched from a tensor within
an epoch; compiled, forward pass and loss as one function with the wrapper in C++, the optimiser outside.
"""

import argparse
import json
import pathlib
import resource
import time

import numpy
import torch


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def matrix(path, columns, rows=None):
    values = numpy.fromfile(path, dtype="<f4", count=-1 if not rows else rows * columns)
    return torch.from_numpy(values.reshape(-1, columns))


def product(width):
    one = torch.full((width, width), 0.5)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        one.mm(one)
        best = min(best, time.perf_counter() - start)
    return 2.0 * width**3 / best


def initial(path, widths):
    """Weights and biases as ours begins with them."""
    values = torch.from_numpy(numpy.fromfile(path, dtype="<f4"))
    weights, biases, place = [], [], 0
    for before, after in zip(widths, widths[1:]):
        weights.append(values[place : place + before * after].reshape(before, after).clone().requires_grad_())
        place += before * after
        biases.append(values[place : place + after].clone().requires_grad_())
        place += after
    return weights, biases


def main():
    at_start = resident()
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--data", type=pathlib.Path)
    for name in ["inputs", "hidden", "code", "batch", "epochs", "rows", "threads", "product"]:
        arguments.add_argument(f"--{name}", type=int)
    for name in ["hide", "learning-rate", "weight-decay"]:
        arguments.add_argument(f"--{name}", type=float)
    arguments.add_argument("--initial", type=pathlib.Path)
    arguments.add_argument("--compile", action="store_true")
    chosen = arguments.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(1)
    if chosen.product:
        print(json.dumps({"flops_per_second": product(chosen.product)}))
        return

    training = matrix(chosen.data / "training.f32", chosen.inputs, chosen.rows)
    validation = matrix(chosen.data / "validation.f32", chosen.inputs)
    weights, biases = initial(chosen.initial, [chosen.inputs, chosen.hidden, chosen.code, chosen.hidden, chosen.inputs])
    # Biases do not decay.
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": chosen.weight_decay}, {"params": biases, "weight_decay": 0.0}],
        lr=chosen.learning_rate, fused=True,
    )  # fmt: skip

    def loss(inputs, targets):
        values = inputs
        for depth, (weight, bias) in enumerate(zip(weights, biases)):
            values = torch.addmm(bias, values, weight)
            if depth + 1 < len(weights):
                values = values * torch.rsqrt(values * values + 1)
        return torch.nn.functional.huber_loss(values, targets, delta=2.0)

    def noisy_loss(rows):
        targets = training[rows]
        hidden = torch.rand_like(targets) < chosen.hide
        return loss(targets.masked_fill(hidden, 0.0), targets)

    if chosen.compile:
        from torch._inductor import config

        config.cpp_wrapper = True
        noisy_loss = torch.compile(noisy_loss)

    seconds, losses, clean = [], [], []
    for _ in range(chosen.epochs):
        start = time.perf_counter()
        order = torch.randperm(len(training))
        batches = len(training) // chosen.batch
        total = torch.zeros(())
        for batch in range(batches):
            optimizer.zero_grad(set_to_none=True)
            found = noisy_loss(order[batch * chosen.batch : (batch + 1) * chosen.batch])
            found.backward()
            optimizer.step()
            total += found.detach()
        with torch.no_grad():
            clean.append(loss(validation, validation).item())
        losses.append(total.item() / batches)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "training": losses, "validation": clean, "at_start": at_start}))


if __name__ == "__main__":
    main()

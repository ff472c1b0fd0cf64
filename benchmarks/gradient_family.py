"""Times an outer step of MAML, first-order MAML and Reptile against peers.

The network is the usual Conv4 of 64 filters on images of 28 x 28 x 1:
convolution with bias, batch norm, ReLU, max-pool, four times, then a dense
layer; the layers are identical on all sides. An outer step is:

- MAML, with second derivatives: 8 tasks of 5-way 1-shot with 1 or 15 queries
  of each class, 1 or 5 inner steps on all weights, then Adam;
- FOMAML: the same without second derivatives;
- Reptile: 5 tasks of 5 classes with 10 images of each, 5 steps of Adam
  without momentum on 10 images, then SGD at the rate 1. One query of each
  class is predicted after the steps, on all sides, as ours does for the loss
  that it logs.

The rows are:

- ours: the function that `fit` calls for each step (`model.train_function`)
  on the iterator of a cached data set, so Keras' own cost is included, after
  `keras_meta.threads.set_threads(side_by_side=True)`; a row says what
  TensorFlow's default threads give;
- torch, loop: the usual loop over tasks with `torch.autograd.grad` and
  functions of plain tensors, in PyTorch's own memory layout and in
  `channels_last`; for Reptile with `torch.optim.Adam`;
- torch, torch.func: `functional_call`, `grad` and `vmap` over the tasks;
- learn2learn: its `MAML`, cloned and adapted for each task;
- jax: one compiled function; `lax.map` over the tasks, with the gradient of a
  task inside.

The peers keep no moving averages of batch norm; ours does. learn2learn is
imported from a checkout of its source, whose folder the environment variable
`LEARN2LEARN` names. A peer that is not there is left out, with a line that
says how to get it.

All rows get the same episodes and initial weights, and the run stops if the
losses of their steps differ. Our Reptile draws its mini-batches itself, the
peers have others, so there the losses are compared loosely.

*Untuned* is as people run it; *tuned* tells glibc to keep freed memory
(`MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_`). The ratios are of ours
untuned, with its threads set.

Every variant has a process of its own; they take turns, and the table shows
medians of the turns. `peak` is the share of the fastest float32 matrix
product (2048) of either library in the same run; `memory` the most a process
ever held, in MiB, its libraries included, and in brackets what came after the
model was built; `first` the seconds of the first step, with tracing and
compilation; `loss` that of the first step. Run it from the root of a checkout,
with the extra `bench` installed, on a machine that does nothing else (most of
an hour on two cores):

    python -m benchmarks.gradient_family [--quick] [--json FILE] [--only NAME]
        [--without PEER]
"""

import dataclasses
import importlib
import importlib.util
import itertools
import os
import pathlib
import sys
import types

import numpy as np

from benchmarks import prototypical_network
from benchmarks.training_steps import (
    ADAM_EPSILON,
    FILTERS,
    LEARNING_RATE,
    NORM_EPSILON,
    SIZE,
    USUAL,
    Setting,
    Variant,
    build_keras_model,
    copy_to_keras,
    copy_to_torch,
    keras_batch,
    keras_training_step,
    make_episodes,
    make_parser,
    measure,
    print_results,
    torch_conv4,
    torch_images,
)
from benchmarks.workers import (
    Step,
    machine,
    print_table,
    require_torch,
    write_json,
)

MAML, FOMAML, REPTILE = "MAML", "FOMAML", "Reptile"
# MAML's usual 0.4 overshoots from random weights, where rounding errors grow
# until losses cannot be compared; a step costs the same at any rate.
INNER_LEARNING_RATE = 0.05
# Of Reptile's Adam.
REPTILE_LEARNING_RATE = 1e-3
REPTILE_DECAY, REPTILE_EPSILON = 0.999, 1e-8
# Decay of the two moments of the outer Adam.
ADAM_DECAYS = (0.9, 0.999)
# How far losses may differ, as a share, in the first step and later, when
# Adam moved each weight by the sign of its gradient. At the kinks of ReLU and
# max-pool rounding errors decide about derivatives, and inner steps pass that
# on; the tests compare the gradients themselves, in float64.
TOLERANCES = (5e-3, 0.3)
REPTILE_TOLERANCES = (0.1, 0.3)

AGAINST_TUNED = "times faster than the fastest PyTorch, tuned"
AGAINST_UNTUNED = "times faster than the fastest PyTorch, untuned"
AGAINST_LEARN2LEARN = "times faster than learn2learn, untuned"
AGAINST_JAX = "times faster than JAX"
MEMORY = {
    "memory as a share of torch.func's, untuned": "peak_memory_mib",
    "the same without libraries and model": "step_memory_mib",
}
TARGETS = {
    MAML: {AGAINST_TUNED: 1.8, AGAINST_LEARN2LEARN: 2.2},
    FOMAML: {AGAINST_TUNED: 1.6, AGAINST_LEARN2LEARN: 2.0},
    REPTILE: {AGAINST_TUNED: 1.6, AGAINST_UNTUNED: 2.0},
}
LEARN2LEARN = "LEARN2LEARN"
ADVICE = {
    "learn2learn": "learn2learn is left out. Its wheel does not build on "
    "Python 3.11, but its MAML is pure Python: git clone "
    "https://github.com/learnables/learn2learn, and set the environment "
    f"variable {LEARN2LEARN} to the folder.",
    "jax": "JAX is left out, as it is not installed. Install the extra "
    "`bench`: pip install 'keras-meta[bench]', or in a checkout pip install "
    "-e '.[bench]'",
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A method, and how large its outer step is.

    Args:
        method: `MAML`, `FOMAML` or `REPTILE`.
        setting: The episodes of one step.
        inner_steps: Of each task.
        inner_batch_size: Images in an inner step of Reptile; the other
            methods take the whole support.
        filters: Channels of the convolutions.
    """

    method: str
    setting: Setting
    inner_steps: int
    inner_batch_size: int = 10
    filters: int = FILTERS

    @property
    def name(self):
        """What `--only` calls it."""
        if self.method == REPTILE:
            return "reptile"
        queries, steps = self.setting.queries, self.inner_steps
        return f"{self.method.lower()}_{queries}_queries_{steps}_steps"

    @property
    def first_order(self):
        """Whether no second derivatives are taken."""
        return self.method != MAML

    def quick(self):
        """The same for a smoke test."""
        shot = min(self.setting.shot, 4)
        queries = min(self.setting.queries, 3)
        return dataclasses.replace(
            self,
            setting=Setting(2, self.setting.way, shot, queries),
            inner_steps=min(self.inner_steps, 2),
        )

    def __str__(self):
        inner = f"{self.inner_steps} inner steps"
        if self.method == REPTILE:
            inner += f" of {self.inner_batch_size} images"
        return f"{self.method}: {self.setting}, {inner}"


CASES = {
    case.name: case
    for case in (
        *(
            Case(MAML, Setting(8, 5, 1, queries), steps)
            for steps in (1, 5)
            for queries in (1, 15)
        ),
        *(
            Case(FOMAML, Setting(8, 5, 1, queries), steps)
            for queries, steps in ((1, 1), (15, 1), (15, 5))
        ),
        Case(REPTILE, Setting(5, 5, 10, 1), 5),
    )
}


def variants(case, absent=()):
    """All rows of a table.

    Args:
        case: Which method.
        absent: Sides that are left out.
    """
    rows = [
        Variant("ours", "", "", tuned, side_by_side_keras_step, ())
        for tuned in (False, True)
    ]
    rows.append(Variant("ours", "", "default threads", False, keras_step, ()))
    peers = [
        ("torch", "loop", (torch_loop, False)),
        ("torch", "loop, channels_last", (torch_loop, True)),
        ("torch", "torch.func", (torch_functional, False)),
        ("learn2learn", "", (learn2learn_loop, False)),
    ]
    if case.method == REPTILE:
        peers = [
            ("torch", "loop", (torch_reptile, False)),
            ("torch", "loop, channels_last", (torch_reptile, True)),
        ]
    rows += [
        Variant(
            side,
            "",
            details,
            tuned,
            torch_step,
            arguments,
            optional=side == "learn2learn",
        )
        for tuned, (side, details, arguments) in itertools.product(
            (True, False), peers
        )
    ]
    rows.append(Variant("jax", "", "", False, jax_step, (), optional=True))
    return [row for row in rows if row.side not in absent]


def absent_peers():
    """Sides that cannot be measured here."""
    absent = []
    if not learn2learn_folder():
        absent.append("learn2learn")
    if importlib.util.find_spec("jax") is None:
        absent.append("jax")
    return absent


def step_flop(case):
    """Floating point operations of the convolutions of one outer step.

    A convolution's forward pass, the gradient of its weights and that of its
    inputs take the same. Each of these is a product of two factors; the
    second-order pass takes the gradient of both, so the inner step costs six
    more. The first convolution needs no gradient of its inputs: one less in
    the first-order pass, four less in the second.
    """
    one_image = Setting(tasks=1, way=1, shot=1, queries=0)
    gradient = prototypical_network.step_flop(one_image)
    first = 2 * 9 * SIZE * SIZE * FILTERS
    forward = (gradient + first) // 3
    setting = case.setting
    queries = setting.way * setting.queries
    if case.method == REPTILE:
        images = case.inner_steps * case.inner_batch_size
        return setting.tasks * (images * gradient + queries * forward)
    inner = gradient
    if not case.first_order:
        inner += 6 * forward - 4 * first
    images = case.inner_steps * setting.way * setting.shot
    return setting.tasks * (images * inner + queries * gradient)


# What all sides start from.


def initial_weights(case, seed=1):
    """The weights all sides start from, in the order of the layers.

    Returns:
        List of float32 arrays: of each block kernel `(3, 3, in, out)`, bias,
        scale and shift; then the dense layer's kernel and bias.
    """
    encoder = prototypical_network.initial_weights(USUAL, case.filters, seed)
    # 28 x 28 leaves one position after four max-pools.
    rng = np.random.default_rng([seed, case.setting.way])
    kernel = rng.normal(size=(case.filters, case.setting.way))
    kernel *= np.sqrt(2 / sum(kernel.shape))
    head = [kernel, np.zeros(case.setting.way)]
    return [*encoder, *(weight.astype("float32") for weight in head)]


def labels(case):
    """Class numbers of the support images and of the queries of a task."""
    setting = case.setting
    return [
        np.repeat(np.arange(setting.way), each)
        for each in (setting.shot, setting.queries)
    ]


def mini_batches(case, seed=0):
    """Rows of the support in each of Reptile's inner steps, for the peers.

    All images are gone through in one random order after the other.

    Returns:
        Integers `(inner_steps, inner_batch_size)`.
    """
    rng = np.random.default_rng(seed)
    images = case.setting.way * case.setting.shot
    size = case.inner_steps * case.inner_batch_size
    passes = -(-size // images)
    rows = np.concatenate([rng.permutation(images) for _ in range(passes)])
    return rows[:size].reshape(case.inner_steps, -1)


# Ours.


def keras_model(case, weights):
    """Our model with the given weights, built."""
    import keras

    from keras_meta import models

    encoder = prototypical_network.keras_model(USUAL, weights[:-2]).encoder
    head = keras.layers.Dense(case.setting.way)
    network = keras.Sequential([encoder, head])
    if case.method == REPTILE:
        model = models.Reptile(
            network,
            inner_learning_rate=REPTILE_LEARNING_RATE,
            inner_steps=case.inner_steps,
            inner_batch_size=case.inner_batch_size,
        )
    else:
        model = models.MAML(
            network,
            inner_learning_rate=INNER_LEARNING_RATE,
            inner_steps=case.inner_steps,
            first_order=case.first_order,
        )
    build_keras_model(model)
    copy_to_keras(weights, model)
    return model


def keras_step(case, weights):
    """Our outer step, with the threads as they are."""
    import keras

    optimizer = keras.optimizers.SGD(1.0) if case.method == REPTILE else None
    return keras_training_step(
        keras_model(case, weights),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        keras_batch(*make_episodes(case.setting)),
        optimizer=optimizer,
    )


def side_by_side_keras_step(case, weights):
    """Our outer step in a process without any of TensorFlow's before."""
    from keras_meta.threads import set_threads

    set_threads(side_by_side=True)
    return keras_step(case, weights)


# PyTorch and learn2learn: functions of a network, which return a function of
# images `(tasks, support, 1, 28, 28)` and `(tasks, query, 1, 28, 28)` that
# leaves what the optimizer descends in the weights' `grad` and returns the
# mean loss of the queries.


def torch_network(case, weights, channels_last=False):
    """The network in PyTorch, without moving averages."""
    import torch

    encoder = torch_conv4(case.filters, USUAL)
    head = torch.nn.Linear(case.filters, case.setting.way)
    network = torch.nn.Sequential(encoder, head)
    torch.func.replace_all_batch_norm_modules_(network)
    copy_to_torch(weights, network)
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network


def torch_outputs(weights, images):
    """The network as a function of its weights, in their order."""
    from torch.nn import functional

    *encoder, kernel, bias = weights
    for block in range(0, len(encoder), 4):
        convolution, shift, gamma, beta = encoder[block : block + 4]
        images = functional.conv2d(images, convolution, shift, padding=1)
        images = functional.batch_norm(
            images, None, None, gamma, beta, training=True, eps=NORM_EPSILON
        )
        images = functional.max_pool2d(functional.relu(images), 2)
    return functional.linear(images.flatten(1), kernel, bias)


def torch_labels(case):
    """`labels` as tensors."""
    import torch

    return [torch.from_numpy(array) for array in labels(case)]


def torch_loop(case, network):
    """MAML as a loop over tasks."""
    import torch
    from torch.nn.functional import cross_entropy

    parameters = list(network.parameters())
    support_y, query_y = torch_labels(case)

    def meta_gradient(support, query):
        total = 0
        for support_x, query_x in zip(support, query, strict=True):
            weights = parameters
            for _ in range(case.inner_steps):
                loss = cross_entropy(
                    torch_outputs(weights, support_x), support_y
                )
                gradients = torch.autograd.grad(
                    loss, weights, create_graph=not case.first_order
                )
                weights = [
                    weight - INNER_LEARNING_RATE * gradient
                    for weight, gradient in zip(weights, gradients, strict=True)
                ]
            loss = cross_entropy(torch_outputs(weights, query_x), query_y)
            (loss / len(support)).backward()
            total = total + loss.detach()
        return total / len(support)

    return meta_gradient


def torch_functional(case, network):
    """MAML for all tasks at once, by function transforms."""
    from torch.func import functional_call, grad, grad_and_value, vmap
    from torch.nn.functional import cross_entropy

    parameters = dict(network.named_parameters())
    support_y, query_y = torch_labels(case)

    def loss_of(weights, images, targets):
        return cross_entropy(
            functional_call(network, weights, (images,)), targets
        )

    def task_loss(weights, support_x, query_x):
        for _ in range(case.inner_steps):
            gradients = grad(loss_of)(weights, support_x, support_y)
            if case.first_order:
                gradients = {k: v.detach() for k, v in gradients.items()}
            weights = {
                name: weight - INNER_LEARNING_RATE * gradients[name]
                for name, weight in weights.items()
            }
        return loss_of(weights, query_x, query_y)

    # The gradient of each task, inside `vmap`: that of the mean of a `vmap`
    # has wrong second derivatives of batch norm in PyTorch 2.13.
    task_gradients = vmap(grad_and_value(task_loss), (None, 0, 0))

    def meta_gradient(support, query):
        weights = {name: p.detach() for name, p in parameters.items()}
        gradients, losses = task_gradients(weights, support, query)
        for name, parameter in parameters.items():
            parameter.grad = gradients[name].mean(0)
        return losses.mean()

    return meta_gradient


def learn2learn_folder():
    """The checkout of learn2learn, or None."""
    folder = os.environ.get(LEARN2LEARN)
    if not folder:
        return None
    package = pathlib.Path(folder) / "learn2learn"
    if not (package / "algorithms" / "maml.py").exists():
        raise SystemExit(
            f"The environment variable {LEARN2LEARN} must name a checkout of "
            "learn2learn's source, with learn2learn/algorithms/maml.py in it. "
            f"Received: {LEARN2LEARN}={folder}"
        )
    return package


def learn2learn_maml():
    """learn2learn's class `MAML`.

    The package itself would import what was compiled, and environments of
    reinforcement learning; two empty packages in its place do not.
    """
    package = learn2learn_folder()
    for name, path in (
        ("learn2learn", package),
        ("learn2learn.algorithms", package / "algorithms"),
    ):
        if name not in sys.modules:
            module = types.ModuleType(name)
            module.__path__ = [str(path)]
            sys.modules[name] = module
    return importlib.import_module("learn2learn.algorithms.maml").MAML


def learn2learn_loop(case, network):
    """MAML as learn2learn's examples write it."""
    from torch.nn.functional import cross_entropy

    learner = learn2learn_maml()(
        network, lr=INNER_LEARNING_RATE, first_order=case.first_order
    )
    support_y, query_y = torch_labels(case)

    def meta_gradient(support, query):
        total = 0
        for support_x, query_x in zip(support, query, strict=True):
            clone = learner.clone()
            for _ in range(case.inner_steps):
                clone.adapt(cross_entropy(clone(support_x), support_y))
            loss = cross_entropy(clone(query_x), query_y)
            (loss / len(support)).backward()
            total = total + loss.detach()
        return total / len(support)

    return meta_gradient


def torch_reptile(case, network):
    """Reptile as a loop over tasks; each task has an Adam of its own."""
    import torch
    from torch.nn.functional import cross_entropy

    parameters = list(network.parameters())
    support_y, query_y = torch_labels(case)
    batches = torch.from_numpy(mini_batches(case))

    def meta_gradient(support, query):
        start = [parameter.detach().clone() for parameter in parameters]
        moved = [torch.zeros_like(parameter) for parameter in parameters]
        total = 0
        for support_x, query_x in zip(support, query, strict=True):
            optimizer = torch.optim.Adam(
                parameters,
                REPTILE_LEARNING_RATE,
                betas=(0.0, REPTILE_DECAY),
                eps=REPTILE_EPSILON,
            )
            for rows in batches:
                optimizer.zero_grad()
                outputs = network(support_x[rows])
                cross_entropy(outputs, support_y[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                total += cross_entropy(network(query_x), query_y)
                for parameter, begin, move in zip(
                    parameters, start, moved, strict=True
                ):
                    move += (begin - parameter) / len(support)
                    parameter.copy_(begin)
        for parameter, move in zip(parameters, moved, strict=True):
            parameter.grad = move
        return total / len(support)

    return meta_gradient


def torch_step(case, weights, method, channels_last):
    """An outer step in PyTorch.

    Args:
        case, weights: What is computed, and from where.
        method: One of the functions above.
        channels_last: Whether the network is in that memory layout.
    """
    import torch

    network = torch_network(case, weights, channels_last)
    optimizer = torch.optim.Adam(
        network.parameters(), LEARNING_RATE, ADAM_DECAYS, ADAM_EPSILON
    )
    if case.method == REPTILE:
        optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    meta_gradient = method(case, network)
    support, query = (
        torch_images(images).flatten(2, 3)
        for images in make_episodes(case.setting)
    )
    batches = itertools.cycle(list(zip(support, query, strict=True)))

    def run():
        optimizer.zero_grad()
        loss = meta_gradient(*next(batches))
        optimizer.step()
        return loss

    return Step(run, lambda: float(run()))


# JAX.


def jax_outputs(weights, images):
    """The network as a function of its weights; images `(n, 28, 28, 1)`."""
    import jax
    from jax import lax

    *encoder, kernel, bias = weights
    window = (1, 2, 2, 1)
    for block in range(0, len(encoder), 4):
        convolution, shift, gamma, beta = encoder[block : block + 4]
        images = lax.conv_general_dilated(
            images,
            convolution,
            window_strides=(1, 1),
            padding="SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        images = images + shift
        centred = images - images.mean((0, 1, 2))
        variance = (centred * centred).mean((0, 1, 2))
        scale = gamma * lax.rsqrt(variance + NORM_EPSILON)
        images = jax.nn.relu(centred * scale + beta)
        images = lax.reduce_window(
            images, -np.inf, lax.max, window, window, "VALID"
        )
    return images.reshape(len(images), -1) @ kernel + bias


def jax_loss(weights, images, targets):
    """Mean cross-entropy; targets are class numbers."""
    import jax

    log_probabilities = jax.nn.log_softmax(jax_outputs(weights, images))
    return -log_probabilities[np.arange(len(targets)), targets].mean()


def jax_maml_task(case):
    """Function `(weights, support_x, query_x) -> (loss, gradients)`."""
    import jax

    support_y, query_y = labels(case)

    def task_loss(weights, support_x, query_x):
        for _ in range(case.inner_steps):
            gradients = jax.grad(jax_loss)(weights, support_x, support_y)
            if case.first_order:
                gradients = jax.lax.stop_gradient(gradients)
            weights = [
                weight - INNER_LEARNING_RATE * gradient
                for weight, gradient in zip(weights, gradients, strict=True)
            ]
        return jax_loss(weights, query_x, query_y)

    return jax.value_and_grad(task_loss)


def jax_reptile_task(case):
    """The same for Reptile, whose gradient is the way moved, reversed."""
    import jax
    from jax import numpy as jnp

    support_y, query_y = labels(case)

    def descend(weight, gradient, moment, step):
        moment = REPTILE_DECAY * moment + (1 - REPTILE_DECAY) * gradient**2
        root = jnp.sqrt(moment / (1 - REPTILE_DECAY**step))
        change = gradient / (root + REPTILE_EPSILON)
        return weight - REPTILE_LEARNING_RATE * change, moment

    def task(weights, support_x, query_x):
        found = weights
        moments = [jnp.zeros_like(weight) for weight in weights]
        for step, rows in enumerate(mini_batches(case), start=1):
            gradients = jax.grad(jax_loss)(
                found, support_x[rows], support_y[rows]
            )
            pairs = [
                descend(*values, step)
                for values in zip(found, gradients, moments, strict=True)
            ]
            found, moments = map(list, zip(*pairs, strict=True))
        moved = [a - b for a, b in zip(weights, found, strict=True)]
        return jax_loss(found, query_x, query_y), moved

    return task


def jax_meta_gradient(case):
    """Function of weights and of the images of all tasks.

    Returns:
        Function `(weights, support, query) -> (loss, gradients)`, means over
        the tasks; images `(tasks, n, 28, 28, 1)`.
    """
    import jax

    reptile = case.method == REPTILE
    task = jax_reptile_task(case) if reptile else jax_maml_task(case)

    def meta_gradient(weights, support, query):
        losses, gradients = jax.lax.map(
            lambda images: task(weights, *images), (support, query)
        )
        return losses.mean(), [gradient.mean(0) for gradient in gradients]

    return meta_gradient


def jax_adam(weights, gradients, moments, step):
    """One step of the outer Adam; moments are pairs, `step` counts from 1."""
    from jax import numpy as jnp

    first_decay, second_decay = ADAM_DECAYS
    rate = LEARNING_RATE * jnp.sqrt(1 - second_decay**step)
    rate = rate / (1 - first_decay**step)
    pairs = [
        (
            first_decay * first + (1 - first_decay) * gradient,
            second_decay * second + (1 - second_decay) * gradient**2,
        )
        for gradient, (first, second) in zip(gradients, moments, strict=True)
    ]
    weights = [
        weight - rate * first / (jnp.sqrt(second) + ADAM_EPSILON)
        for weight, (first, second) in zip(weights, pairs, strict=True)
    ]
    return weights, pairs


def jax_step(case, weights):
    """An outer step in JAX."""
    import jax
    from jax import numpy as jnp

    meta_gradient = jax_meta_gradient(case)

    @jax.jit
    def update(weights, moments, step, support, query):
        loss, gradients = meta_gradient(weights, support, query)
        if case.method == REPTILE:
            weights = [w - g for w, g in zip(weights, gradients, strict=True)]
        else:
            weights, moments = jax_adam(weights, gradients, moments, step)
        return weights, moments, loss

    support, query = (
        jnp.asarray(images.reshape(*images.shape[:2], -1, SIZE, SIZE, 1))
        for images in make_episodes(case.setting)
    )
    batches = itertools.cycle(list(zip(support, query, strict=True)))
    weights = [jnp.asarray(weight) for weight in weights]
    moments = [(jnp.zeros_like(w), jnp.zeros_like(w)) for w in weights]
    steps = itertools.count(1)

    def run():
        nonlocal weights, moments
        # A float, so that the number of the step is not compiled in.
        weights, moments, loss = jax.block_until_ready(
            update(weights, moments, float(next(steps)), *next(batches))
        )
        return loss

    return Step(run, lambda: float(run()))


# Results.


def ratios(results):
    """How ours (untuned, with its threads set) compares with the peers.

    Args:
        results: Dict from variants to their numbers.

    Returns:
        Dict from what is compared to a ratio; what was not measured is left
        out.
    """
    ours = next(
        numbers
        for row, numbers in results.items()
        if row.side == "ours" and not row.tuned and not row.details
    )

    def measured(sides, tuned, details=None):
        return [
            numbers
            for row, numbers in results.items()
            if row.side in sides
            and row.tuned == tuned
            and details in (None, row.details)
        ]

    # learn2learn is PyTorch too.
    peers = {
        AGAINST_TUNED: measured(("torch", "learn2learn"), True),
        AGAINST_UNTUNED: measured(("torch", "learn2learn"), False),
        AGAINST_LEARN2LEARN: measured(("learn2learn",), False),
        AGAINST_JAX: measured(("jax",), False),
    }
    found = {
        text: min(numbers["milliseconds"] for numbers in rows)
        / ours["milliseconds"]
        for text, rows in peers.items()
        if rows
    }
    for numbers in measured(("torch",), False, "torch.func"):
        for text, key in MEMORY.items():
            if numbers[key] is not None:
                found[text] = ours[key] / numbers[key]
    return found


def print_ratios(case, found):
    """Prints what `ratios` returned, beside the targets."""
    targets = TARGETS[case.method]
    rows = [
        [
            text,
            f"{ratio:.2f}",
            f"{targets[text]:.1f}" if text in targets else "",
        ]
        for text, ratio in found.items()
    ]
    print_table(["ours", "ratio", "target"], rows)
    print(flush=True)


def run_case(case, absent, peak, rounds, seconds):
    """Measures and prints one case.

    Args:
        case: What is measured.
        absent: Sides that are left out.
        peak: Operations per second of the fastest matrix product.
        rounds, seconds: As for `measure`.

    Returns:
        Dict for the JSON file.
    """
    flop = step_flop(case)
    print(f"\n{case}, {flop / 1e9:.1f} GFLOP\n", flush=True)
    tolerances = TOLERANCES
    if case.method == REPTILE:
        tolerances = REPTILE_TOLERANCES
        print(
            "Ours and the peers draw different mini-batches, so the loss of "
            f"the first step may differ by {tolerances[0]:.0%}.\n"
        )
    results = measure(
        variants(case, absent),
        (case, initial_weights(case)),
        rounds,
        seconds,
        tolerances,
    )
    for numbers in results.values():
        seconds_of_step = numbers["milliseconds"] / 1e3
        numbers["share_of_peak"] = flop / seconds_of_step / peak
    shares = {"peak": lambda numbers: f"{numbers['share_of_peak']:.0%}"}
    print_results(results, shares)
    found = ratios(results)
    print_ratios(case, found)
    return {
        "case": str(case),
        "gflop": flop / 1e9,
        "variants": {str(row): value for row, value in results.items()},
        "ratios": found,
        "targets": TARGETS[case.method],
    }


def main(arguments=None):
    parser = make_parser("gradient_family", __doc__)
    parser.add_argument(
        "--only", choices=CASES, nargs="+", help="these settings, not all"
    )
    parser.add_argument(
        "--without",
        choices=("learn2learn", "jax"),
        nargs="+",
        default=[],
        help="peers to leave out; JAX takes minutes in the larger settings",
    )
    # There are many rows, and a step may take more than a second.
    parser.set_defaults(rounds=5, seconds=1.0)
    options = parser.parse_args(arguments)
    require_torch()
    cases = {name: CASES[name] for name in options.only or CASES}
    if options.quick:
        options.rounds, options.seconds = 1, 0.1
        cases = {name: case.quick() for name, case in cases.items()}
    facts = machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    absent = absent_peers()
    for side in set(absent).difference(options.without):
        print(ADVICE[side])
    absent += options.without
    rounds, seconds = options.rounds, options.seconds
    peak = prototypical_network.measure_peak(rounds, seconds)
    print(f"float32 matrix product: {peak / 1e9:.0f} GFLOP/s", flush=True)
    stored = {
        name: run_case(case, absent, peak, rounds, seconds)
        for name, case in cases.items()
    }
    write_json(
        options.json,
        {
            "machine": facts,
            "peak_gflop_per_second": peak / 1e9,
            "cases": stored,
        },
    )


if __name__ == "__main__":
    main()

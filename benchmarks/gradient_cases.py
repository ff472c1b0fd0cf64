"""The settings of `benchmarks.gradient_family`, the same for all sides."""

import dataclasses

import numpy as np

from benchmarks import conv4
from benchmarks.hyperparameters import FILTERS, USUAL
from benchmarks.training_steps import Setting

MAML, FOMAML, REPTILE = "MAML", "FOMAML", "Reptile"


@dataclasses.dataclass(frozen=True)
class Case:
    """A method, and the size of its outer step.

    Args:
        method: `MAML`, `FOMAML` or `REPTILE`.
        setting: The episodes of one step.
        inner_steps: Of each task.
        inner_batch_size: Images in an inner step of Reptile; the other
            methods take the whole support set.
        filters: Channels of the convolutions.
    """

    method: str
    setting: Setting
    inner_steps: int
    inner_batch_size: int = 10
    filters: int = FILTERS

    @property
    def name(self):
        """The name for `--only`."""
        if self.method == REPTILE:
            return "reptile"
        queries, steps = self.setting.queries, self.inner_steps
        return f"{self.method.lower()}_{queries}_queries_{steps}_steps"

    @property
    def first_order(self):
        """Whether no second derivatives are taken."""
        return self.method != MAML

    def quick(self):
        """A small case of the same method, for a smoke test."""
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


def step_flop(case):
    """Floating point operations of the convolutions of one outer step.

    Let `f` be those of a convolution's forward pass. The gradients of its
    weights and of its inputs take `f` each, so first order takes `3 f` in
    all. Second order differentiates each of these three products by both of
    its factors, which takes `6 f` more. Images need no gradient: the first
    convolution takes `f` less in first order, and `4 f` less of the `6 f`.
    """
    first, *rest = conv4.convolution_flop()
    forward = first + sum(rest)
    gradient = 3 * forward - first
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


def initial_weights(case, seed=1):
    """The weights that all sides start from, in the order of the layers.

    Returns:
        List of float32 arrays: of each block kernel `(3, 3, in, out)`, bias,
        scale and shift; then the dense layer's kernel and bias.
    """
    encoder = conv4.initial_weights(USUAL, case.filters, seed)
    # Four max-pools leave one position of 28 x 28: `filters` inputs.
    rng = np.random.default_rng([seed, case.setting.way])
    kernel = rng.normal(size=(case.filters, case.setting.way))
    kernel *= np.sqrt(2 / sum(kernel.shape))
    head = [kernel, np.zeros(case.setting.way)]
    return [*encoder, *(weight.astype("float32") for weight in head)]


def labels(case):
    """Labels of the support images and of the queries of a task.

    Returns:
        `(support_y, query_y)`: integers `(way * shot,)`, `(way * queries,)`.
    """
    setting = case.setting
    return [
        np.repeat(np.arange(setting.way), each)
        for each in (setting.shot, setting.queries)
    ]


def mini_batches(case, seed=0):
    """Rows of the support set in each of Reptile's inner steps, for the peers.

    They are cut from random orders of all images, one after the other.

    Returns:
        Integers `(inner_steps, inner_batch_size)`.
    """
    rng = np.random.default_rng(seed)
    images = case.setting.way * case.setting.shot
    size = case.inner_steps * case.inner_batch_size
    passes = -(-size // images)
    rows = np.concatenate([rng.permutation(images) for _ in range(passes)])
    return rows[:size].reshape(case.inner_steps, -1)

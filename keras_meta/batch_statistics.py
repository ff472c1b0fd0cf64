"""Which batch-norm statistics a pass uses: a named choice of the model.

| name | support pass | query pass |
|---|---|---|
| `running` | moving averages | moving averages |
| `batch` | its own moments | its own moments (transductive) |
| `support` | its own moments | the moments of the support pass |

Moments are always those of one task. While training, `running` uses the
moments of the batch. The verbs of an `EpisodicModel` open a
`StatisticsScope` for that model, and `batch_apply` tells how many tasks were
merged into the batch axis; layers such as `EpisodicBatchNormalization` read
both while they are traced. Under `support` the task also carries the moments:
the caller of `adapt` gets the keys that it returned and those of
`with_moments`, and `infer` gets the task without them.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from keras_meta.typing import Task, Tensor

STATISTICS = ("running", "batch", "support")
# Where a task carries the moments of its support pass.
MEAN, VARIANCE = "support_mean_", "support_variance_"
# So many tasks are computed one by one, if their number is known while the
# graph is made. It bounds the size of the graph.
UNROLLED_TASKS = 16

_context = threading.local()


class StatisticsScope:
    """What batch normalization does inside `with scope:`.

    Args:
        mode: `"running"`, `"batch"`, `"collect"` (the moments of the batch,
            remembered in `moments`) or `"reuse"` (those of `moments`).
        moments: For `"reuse"`: list of pairs `(mean, variance)`, each
            `(tasks, channels)`, one for each normalization layer in the
            order of their first call.
        owner: The model whose pass this is. Its verbs then run in this scope
            instead of opening their own; those of any other model do not.
    """

    def __init__(
        self,
        mode: str,
        moments: Sequence[tuple[Tensor, Tensor]] = (),
        owner: Any = None,
    ) -> None:
        self.mode = mode
        self.moments = list(moments)
        self.owner = owner
        self._seen = {}

    def collect(
        self, layer: keras.Layer, mean: Tensor, variance: Tensor
    ) -> None:
        """Keeps the moments of `layer`, `(tasks, channels)` each."""
        position = self._position(layer)
        self.moments[position : position + 1] = [(mean, variance)]

    def reuse(self, layer: keras.Layer) -> tuple[Tensor, Tensor]:
        """The moments of `layer`, `(tasks, channels)` each.

        Raises:
            ValueError: If there are none for it.
        """
        position = self._position(layer)
        if position >= len(self.moments):
            raise ValueError(
                "`task` must hold the moments of the support set: with the "
                'statistics "support" use what `adapt` returned under the '
                f"same statistics. Received: {len(self.moments)} pairs of "
                f"moments, and none for the layer {layer.name!r}"
            )
        return self.moments[position]

    def _position(self, layer):
        """The number of `layer` in the order of first calls."""
        return self._seen.setdefault(id(layer), len(self._seen))

    def __enter__(self):
        self._outer = current_scope()
        _context.scope = self
        return self

    def __exit__(self, *_):
        _context.scope = self._outer


def current_scope() -> StatisticsScope | None:
    """The innermost open `StatisticsScope`, or None."""
    return getattr(_context, "scope", None)


def with_moments(task: Task, moments: Sequence[tuple[Tensor, Tensor]]) -> Task:
    """A task that carries the moments of its support pass.

    Args:
        task: Tensor or flat dict of tensors.
        moments: List of pairs `(mean, variance)`, each `(tasks, channels)`.

    Returns:
        `task` itself without moments; otherwise a dict of its parts (a
        tensor is named `task`) and `support_mean_0 (tasks, channels)`,
        `support_variance_0` and so on.
    """
    if not moments:
        return task
    parts = dict(task) if isinstance(task, dict) else {"task": task}
    for number, (mean, variance) in enumerate(moments):
        parts[f"{MEAN}{number}"] = mean
        parts[f"{VARIANCE}{number}"] = variance
    return parts


def split_moments(task: Task) -> tuple[Task, list[tuple[Tensor, Tensor]]]:
    """Undoes `with_moments`.

    Args:
        task: What `with_moments` returned.

    Returns:
        `(task, moments)`.
    """
    if not isinstance(task, dict) or f"{MEAN}0" not in task:
        return task, []
    parts, moments = dict(task), []
    while f"{MEAN}{len(moments)}" in parts:
        number = len(moments)
        mean = parts.pop(f"{MEAN}{number}")
        moments.append((mean, parts.pop(f"{VARIANCE}{number}")))
    return (parts["task"] if set(parts) == {"task"} else parts), moments


@contextlib.contextmanager
def merged_tasks(tasks: int | Tensor) -> Iterator[None]:
    """Says that the batch axis holds the examples of `tasks` tasks.

    Args:
        tasks: Integer or scalar tensor; the batch axis is `(tasks,
            examples)`, merged.
    """
    outer = current_tasks()
    _context.tasks = tasks
    try:
        yield
    finally:
        _context.tasks = outer


@contextlib.contextmanager
def one_update(passes: int) -> Iterator[None]:
    """Layers move their averages once, after all passes of a network.

    Args:
        passes: How many passes are made inside, each over one task.
    """
    outer = getattr(_context, "kept", None)
    _context.kept = kept = {}
    try:
        yield
    finally:
        _context.kept = outer
    for layer, moments in kept.values():
        # A layer that a network has twice has two pairs of each pass.
        uses = len(moments) // passes
        for use in range(uses):
            pairs = zip(*moments[use::uses], strict=True)
            layer.move_averages(*(keras.ops.concatenate(m) for m in pairs))


def keep_moments(layer: keras.Layer, mean: Tensor, variance: Tensor) -> bool:
    """Leaves an update to `one_update`.

    Args:
        layer: A layer with `move_averages(mean, variance)`.
        mean: `(tasks, channels)`.
        variance: `(tasks, channels)`.

    Returns:
        Whether the update is left: inside of `one_update`.
    """
    kept = getattr(_context, "kept", None)
    if kept is None:
        return False
    kept.setdefault(id(layer), (layer, []))[1].append((mean, variance))
    return True


def current_tasks() -> int | Tensor:
    """How many tasks are merged into the batch axis; 1 by default."""
    return getattr(_context, "tasks", 1)

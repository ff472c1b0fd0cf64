"""Which batch-norm statistics a pass uses: a named choice of the model.

| name | support pass | query pass |
|---|---|---|
| `running` | moving averages | moving averages |
| `batch` | its own moments | its own moments (transductive) |
| `support` | its own moments | the moments of the support pass |

Moments are always those of one task. While training, `running` uses the
moments of the batch. The model opens a `StatisticsScope` around each pass and
`batch_apply` tells how many tasks were merged into the batch axis; layers
such as `EpisodicBatchNormalization` read both while they are traced.
"""

import contextlib
import threading

STATISTICS = ("running", "batch", "support")

_context = threading.local()


class StatisticsScope:
    """What batch normalization does inside `with scope:`.

    Args:
        mode: `"running"`, `"batch"`, `"collect"` (the moments of the batch,
            remembered in `moments`) or `"reuse"` (those of `moments`).
        moments: For `"reuse"`: list of pairs `(mean, variance)`, each
            `(tasks, channels)`, one for each normalization layer in the
            order of their first call.
    """

    def __init__(self, mode, moments=()):
        self.mode = mode
        self.moments = list(moments)
        self._seen = {}

    def position(self, layer):
        """The number of `layer` in the order of first calls."""
        return self._seen.setdefault(id(layer), len(self._seen))

    def remember(self, layer, mean, variance):
        """Keeps the moments of `layer`, `(tasks, channels)` each."""
        position = self.position(layer)
        self.moments[position : position + 1] = [(mean, variance)]

    def __enter__(self):
        self._outer = current_scope()
        _context.scope = self
        return self

    def __exit__(self, *_):
        _context.scope = self._outer


def current_scope():
    """The innermost open `StatisticsScope`, or None."""
    return getattr(_context, "scope", None)


@contextlib.contextmanager
def merged_tasks(tasks):
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


def current_tasks():
    """How many tasks are merged into the batch axis; 1 by default."""
    return getattr(_context, "tasks", 1)

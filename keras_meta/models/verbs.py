"""What stands around the verbs of every model: its batch-norm statistics."""

import functools
import inspect

from keras import ops

from keras_meta.batch_statistics import (
    StatisticsScope,
    current_scope,
    split_moments,
    with_moments,
)


def _mode(statistics, training, support):
    """What batch norm does in a pass; `support` is for those statistics."""
    if statistics == "running":
        return "batch" if training else "running"
    return support if statistics == "support" else "batch"


def _with_statistics(verb, run):
    """A verb that opens the batch-norm statistics of its model.

    Args:
        verb: `adapt` or `infer`, as its class defines it.
        run: Function `(model, arguments, training) -> result` that opens a
            scope for the model and calls the verb.
    """
    signature = inspect.signature(verb)

    @functools.wraps(verb)
    def wrapped(self, *args, **kwargs):
        scope = current_scope()
        if scope is not None and scope.owner is self:
            return verb(self, *args, **kwargs)
        call = signature.bind(self, *args, **kwargs)
        return run(self, call, call.arguments.get("training", False))

    wrapped.opens_statistics = True
    return wrapped


def support_pass(adapt):
    """Opens the model's batch-norm statistics around `adapt`."""

    def run(model, call, training):
        mode = _mode(model.statistics, training, support="collect")
        with StatisticsScope(mode, owner=model) as scope:
            task = adapt(*call.args, **call.kwargs)
        return with_moments(task, scope.moments)

    return _with_statistics(adapt, run)


def query_pass(infer):
    """Opens the model's batch-norm statistics around `infer`."""

    def run(model, call, training):
        mode = _mode(model.statistics, training, support="reuse")
        moments = []
        _, task, queries = list(call.arguments)[:3]
        if mode == "reuse":
            call.arguments[task], moments = split_moments(call.arguments[task])
        query_x = call.arguments[queries]
        none = query_x.shape[1] == 0
        if none:
            # Kernels fail on an empty batch; the prediction of one query is
            # cut off again.
            call.arguments[queries] = _one_query(query_x)
        with StatisticsScope(mode, moments, owner=model):
            predictions = infer(*call.args, **call.kwargs)
        return predictions[:, :0] if none else predictions

    return _with_statistics(infer, run)


def _one_query(query_x):
    """Zeros `(tasks, 1, ...)` for queries `(tasks, 0, ...)`."""
    shape = (ops.shape(query_x)[0], 1, *query_x.shape[2:])
    return ops.zeros(shape, query_x.dtype)

"""Whether the parts of episodes fit together."""

import warnings

import keras

from keras_meta.metrics import AccuracyInterval


def check_keys(episodes, keys):
    """Raises a ValueError unless episodes are a dict with these keys.

    Args:
        episodes: What a caller passed.
        keys: Tuple of names.
    """
    if isinstance(episodes, dict) and all(key in episodes for key in keys):
        return
    found = list(episodes) if isinstance(episodes, dict) else "no dict"
    raise ValueError(
        f"`episodes` must be a dict with the keys {keys}, as "
        "`keras_meta.data.episode_dataset(...).batch(tasks)` yields. "
        f"Received: {found}"
    )


def check_parts(episodes):
    """Raises a ValueError that shows the fix if parts do not fit.

    Args:
        episodes: Dict of `support_x`, `support_y` and `query_x`.
    """
    keys = ("support_x", "support_y", "query_x")
    shapes = {key: tuple(episodes[key].shape) for key in keys}
    support_x, support_y, query_x = shapes.values()
    if len(support_y) == 2 and (
        len(support_x) < 3 or support_x[:2] != support_y
    ):
        raise ValueError(
            "`episodes` must have a tasks axis: make batches of them with "
            "`.batch(1)`, or a larger number of tasks. Received: shapes "
            f"{shapes}"
        )
    if len(support_y) == 2:
        raise ValueError(
            "`support_y` must be one-hot, (tasks, support, way); for "
            "integer labels use `keras.ops.one_hot(support_y, way)`. "
            f"Received: support_y of shape {support_y}"
        )
    if len(support_x) < 3 or len(support_y) != 3 or len(query_x) < 3:
        raise ValueError(
            "`episodes` must hold support_x (tasks, support, ...), "
            "support_y (tasks, support, way) and query_x (tasks, query, "
            "...); one episode becomes a batch with `.batch(1)`. "
            f"Received: shapes {shapes}"
        )
    for key in ("support_x", "query_x"):
        dtype = keras.backend.standardize_dtype(episodes[key].dtype)
        if "float" not in dtype:
            raise ValueError(
                f"`{key}` must be floats: turn uint8 pixels into [0, 1] "
                "by `/ 255`, and other integers by `astype('float32')`. "
                f"Received: {key} of dtype {dtype}"
            )
    if _differ(support_x[:2], support_y[:2]):
        raise ValueError(
            "`support_x` and `support_y` must agree in tasks and support "
            f"examples. Received: shapes {support_x} and {support_y}"
        )


def check_query_shape(support_x, query_x):
    """Raises a ValueError unless support and queries are alike.

    Args:
        support_x: Shape of the support examples.
        query_x: Shape of the queries.
    """
    if len(support_x) != len(query_x) or _differ(support_x[2:], query_x[2:]):
        raise ValueError(
            "`support_x` and `query_x` must hold examples of one shape. "
            f"Received: shapes {support_x} and {query_x}"
        )


def warn_of_counted_padding(metrics):
    """Warns of metrics that count padding, which has the sample weight 0.

    Args:
        metrics: Nested metrics, as given to `compile`.
    """
    unweighted = [
        getattr(metric, "name", metric)
        for metric in keras.tree.flatten(metrics)
        if not isinstance(metric, AccuracyInterval)
    ]
    if unweighted:
        warnings.warn(
            "Queries have sample weights, which are 0 for padding, "
            f"but {unweighted} of `metrics` count all alike. Compile "
            "with `weighted_metrics` instead, or with "
            "`keras_meta.metrics.AccuracyInterval()`, which leaves "
            "padding out.",
            stacklevel=3,
        )


def _differ(shape, other):
    """Whether two shapes differ where both are known."""
    return any(
        a is not None and b is not None and a != b
        for a, b in zip(shape, other, strict=True)
    )

"""The verbs of a model as graphs, traced once, for a process that serves.

Run eagerly, a verb costs the time of hundreds of small operations. As a
`tf.function` of given shapes it would be traced again for each way, shot and
number of queries, and keep all of these graphs. These leave the sizes open.
"""

import tensorflow as tf


def compile_verbs(model):
    """Replaces `adapt` and `infer` of one model by graphs of open shapes.

    They give what the verbs give outside training. What the graphs read of
    the model, such as `statistics`, is what it was when they were traced, so
    this is for a model that is only served from now on.

    Args:
        model: A built `EpisodicModel` that learns from examples.

    Returns:
        `model` itself.
    """
    shape = model.example_shapes["support_x"]
    examples = tf.TensorSpec((None, None, *shape))
    targets = tf.TensorSpec((None, None, None))
    adapt = _traced(model.adapt, examples, targets)
    # A task is a tensor or a dict, as the trace returned it.
    infer = _traced(model.infer, adapt.structured_outputs, examples)

    def adapted(support_x, support_y):
        return adapt(_tensor(support_x), _tensor(support_y))

    def inferred(task, query_x):
        return infer(task, _tensor(query_x))

    model.adapt, model.infer = adapted, inferred
    return model


def _traced(verb, *specs):
    # Without the default of `training`, which a trace would ask for.
    function = tf.function(lambda *given: verb(*given), autograph=False)
    return function.get_concrete_function(*specs)


def _tensor(values):
    return tf.convert_to_tensor(values, "float32")

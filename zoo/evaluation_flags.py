"""The flags of a measurement: what they choose, and their checks."""

import dataclasses

from zoo import flags


def check(trained, options):
    """Checks the flags of a measurement before a model is loaded.

    Args:
        trained: Dict of a preset's `recipe.json`; empty if it has none.
        options: The parsed flags.

    Raises:
        ValueError: For a flag that does not choose among such tasks, and an
            unknown data set or split.
    """
    from zoo import datasets

    own = stream(trained)
    fields = [field.name for field in dataclasses.fields(own)]
    given = flags.given(options, flags.STREAM_FLAGS)
    foreign = [name for name in given if name not in fields]
    if foreign:
        choosing = [name for name in flags.STREAM_FLAGS if name in fields]
        raise ValueError(
            f"{options.name} is measured on {own.noun}, which the flags "
            f"{flags.spelled(choosing)} choose; leave out "
            f"{flags.spelled(foreign)}."
        )
    if options.dataset is not None:
        datasets.check_dataset(options.dataset)
    if options.split is not None:
        datasets.check_split(options.split)


def stream(trained, fixed_way=None):
    """The tasks on which a preset is measured without flags.

    Args:
        trained: Dict of its `recipe.json`; empty if it has none.
        fixed_way: The number of classes that its model serves; None for any.

    Returns:
        A `zoo.stream.Stream`.

    Raises:
        ValueError: If the recipe is damaged.
    """
    from zoo import streams

    if not trained:
        return streams.Episodes(way=fixed_way or 5, shot=1)
    # What it raises depends on what is missing or of another type.
    try:
        return streams.from_record(trained).as_measured(fixed_way)
    except Exception as error:
        raise ValueError(
            "The recipe.json of the preset is damaged: it must say which "
            f"tasks it learned. Received: {type(error).__name__}: {error}"
        ) from error


def evaluation(model, trained, options):
    """The measurement that the flags ask for.

    Args:
        model: The `EpisodicModel`, or another Keras model.
        trained: Dict of its `recipe.json`; empty if it has none.
        options: The parsed flags; what they leave open is as in training.

    Returns:
        A `zoo.recipes.Evaluation`.

    Raises:
        ValueError: For a way that the model does not serve, and for a model
            that learns no tasks and has no recipe.
    """
    from keras_meta.models import EpisodicModel
    from zoo import recipes

    if not trained and not isinstance(model, EpisodicModel):
        raise ValueError(
            f"{options.name} is a plain Keras model without the recipe.json "
            "that says what it is measured on."
        )
    fixed_way = getattr(model, "fixed_way", None)
    if fixed_way and options.way not in (None, fixed_way):
        raise ValueError(
            f"`way` (`--way`) must be {fixed_way}, the number of "
            f"{options.name}'s outputs. Received: way={options.way}"
        )
    own = stream(trained, fixed_way)
    given = flags.given(options, flags.STREAM_FLAGS)
    asked = flags.given(options, flags.EVALUATION_FLAGS)
    return recipes.Evaluation(
        dataclasses.replace(own, **given),
        **{"statistics": getattr(model, "statistics", "running"), **asked},
    )

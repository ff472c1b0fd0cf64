"""The command line: `python -m zoo`, installed as `keras-meta`."""

import contextlib
import dataclasses
import json
import pathlib
import sys

import zoo
from zoo import evaluation_flags, flags, interrupts, run_folder
from zoo.startup_lines import filter_startup_lines

# The commands import what brings in TensorFlow when they have checked what can
# be checked without, after `filter_startup_lines`; help, lists and errors come
# at once.

# Verification pairs in a histogram of scores.
PAIRS = 2000


def main(arguments=None):
    """Runs the command line.

    Args:
        arguments: List of str; those of the process by default.

    Returns:
        Exit code: 0, or 1 after an error that is explained on standard
        error. Wrong usage exits with 2, an interrupt with 130, a request to
        terminate with 143, and a reader that has gone, as in `... | head`,
        with 141: the codes of a shell for these signals.
    """
    try:
        try:
            return _run(arguments)
        finally:
            # Now, and not at the end of the process, where an error could no
            # longer be handled.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        interrupts.discard_output()
        return interrupts.NO_READER
    except OSError as error:
        interrupts.discard_output()
        print(f"keras-meta: error: {error}", file=sys.stderr)
        return 1


def _run(arguments):
    """Runs a command and explains its errors; returns the exit code."""
    options = flags.parser(COMMANDS).parse_args(arguments)
    try:
        flags.check_ranges(options)
        options.command(options)
    except BrokenPipeError:
        raise
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"keras-meta: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        text = str(stop) or "interrupted"
        print(f"keras-meta: {text}", file=sys.stderr)
        if isinstance(stop, interrupts.Terminated):
            return interrupts.TERMINATED
        return interrupts.INTERRUPTED
    return 0


def list_command(options):
    """Names, and the first measurement of presets that were measured."""
    from zoo import preset_folder, recipes

    shipped = zoo.list_presets()
    for name in sorted({*shipped, *recipes.NAMES}):
        if name not in shipped:
            print(f"{name:42} recipe only: keras-meta train {name}")
            continue
        measured = preset_folder.read_results(zoo.PRESETS / name).evaluations
        print(f"{name:42} {measured[0].sentence if measured else ''}")


def show_command(options):
    """The card of a preset, or the recipe of one that is not trained."""
    from zoo import front_matter, preset_folder, recipes

    if options.name in recipes.NAMES and (
        options.name not in zoo.list_presets()
    ):
        filter_startup_lines()
        print(json.dumps(recipes.find(options.name).record(), indent=1))
        return
    card = preset_folder.read_card(zoo.preset_directory(options.name))
    if card is None:
        raise ValueError(
            f"{options.name} has no card yet: measure it with "
            f"`keras-meta evaluate {options.name} --write`."
        )
    print(front_matter.split(card)[1])


def train_command(options):
    """Trains a recipe and writes the preset."""
    from zoo import devices, recipes

    recipes.check_name(options.name)
    devices.check(options)
    index, workers = devices.worker(options)
    run_dir = options.run_dir or pathlib.Path("runs") / options.name
    output = options.output or run_dir / "preset"
    with interrupts.told_how_to_resume(options, run_dir):
        if index == 0:
            # Not at the end of the training, when it would be too late.
            run_folder.check_writable(output)
        filter_startup_lines()
        from zoo import train

        recipe = _recipe(options)
        _prepare_process(recipe)
        strategy = devices.strategy(options)
        model, state = train.train(
            recipe,
            run_dir,
            options.resume,
            options.tensorboard,
            strategy=strategy,
            save_steps=options.save_steps,
            save_minutes=options.save_minutes,
        )
        if index == 0:
            train.write_preset(recipe, model, state, output)
        devices.wait_for_all(strategy)
    if index > 0:
        print(f"Worker {index} of {workers} has ended; worker 0 writes.")
        return
    print(f"Trained: {output}\nMeasure it: keras-meta evaluate {output}")


def _recipe(options):
    """The recipe that the flags of `train` ask for."""
    from zoo import recipes

    recipe = recipes.find(options.name)
    if options.seed is not None:
        recipe = dataclasses.replace(recipe, seed=options.seed)
    if options.steps is not None:
        each = min(options.steps, recipe.epoch_steps)
        whole = -(-options.steps // each) * each
        recipe = dataclasses.replace(recipe, steps=whole, epoch_steps=each)
    return recipe


def evaluate_command(options):
    """Runs the measurement of the flags, or all those of the recipe."""
    from zoo import preset_folder, recipes

    directory = zoo.preset_directory(options.name)
    trained = preset_folder.read_recipe(directory)
    evaluation_flags.check(trained, options)
    given = flags.given(options, (*flags.STREAM_FLAGS, *flags.EVALUATION_FLAGS))
    if options.write and not trained:
        raise ValueError(
            "`--write` needs the recipe.json that `train` writes, which the "
            f"card is made of. Received: {str(directory)!r} without one"
        )
    if options.write and given:
        raise ValueError(
            "`--write` stores the recipe's own measurements; leave out "
            f"{flags.spelled(given)}."
        )
    filter_startup_lines()
    from zoo import evaluate, progress

    recipe = recipes.RECIPES.get(trained.get("name"))
    _prepare_process(recipe)
    model = zoo.load(options.name)
    evaluations = [evaluation_flags.evaluation(model, trained, options)]
    if recipe and not given:
        evaluations = recipe.evaluations
    results = []
    for evaluation in evaluations:
        bar = contextlib.nullcontext(())
        if not options.json:
            bar = progress.progress_bar(
                evaluation.words,
                evaluation.episodes,
                evaluate.tasks_at_once(evaluation),
            )
        with bar as callbacks:
            found = evaluate.evaluate(model, evaluation, callbacks=callbacks)
        results.append(found)
        if not options.json:
            print(results[-1].sentence, flush=True)
    if options.json:
        print(json.dumps([found.record() for found in results], indent=1))
    if options.write:
        evaluate.write_results(directory, results)


def fit_command(options):
    """Learns the folders of pictures and keeps the classifier."""
    from zoo import classifier_flags

    zoo.preset_directory(options.name)
    classifier_flags.check_output(options.output)
    filter_startup_lines()
    from zoo import predictions

    classifier = predictions.fit(
        options.name,
        options.support,
        options.calibrate,
        options.skip_unreadable,
    )
    classifier.save(options.output)
    print(
        f"Learned: {options.output}, {len(classifier.classes_)} classes\n"
        f"Classify: keras-meta predict {options.output} --query FILE"
    )


def predict_command(options):
    """Classifies the files, after the folders of pictures or a classifier."""
    from zoo import classifier_flags

    directory = zoo.preset_directory(options.name)
    saved = classifier_flags.check_predict(options, directory)
    filter_startup_lines()
    from zoo import predictions

    skip = options.skip_unreadable
    if saved:
        classifier = predictions.load(options.name, directory)
    else:
        classifier = predictions.fit(
            options.name, options.support, options.calibrate, skip
        )
    rows = predictions.predict(classifier, options.query, options.unknown, skip)
    table = predictions.lines(rows, options.top)
    if options.csv:
        predictions.write_csv(table, options.csv)
    if options.json:
        rows = predictions.shortened(rows, options.top)
        print(json.dumps(rows, indent=1, ensure_ascii=False))
    elif options.csv:
        print(f"Wrote {options.csv}")
    else:
        print(predictions.text(table))


def demo_command(options):
    """Serves a page on which one teaches a classifier and asks it."""
    from zoo import demo_server

    demo_server.serve(options.name, options.host, options.port)


def serve_command(options):
    """Answers requests over HTTP until Ctrl-C."""
    from zoo import api_server, server_flags

    limits = server_flags.limits(options)
    api_server.serve(options.name, options.host, options.port, limits)


def export_command(options):
    """Writes a file that learns inside its graph if the model does."""
    zoo.preset_directory(options.name)
    filter_startup_lines()
    from zoo import exports

    signatures = exports.export(
        zoo.load(options.name),
        options.directory,
        options.format,
        options.preprocessing,
    )
    print(f"Wrote {options.directory}, with {signatures}")


def plot_command(options):
    """Draws an episode, a map of embeddings and the learning curves."""
    from zoo import preset_folder, recipes

    trained = preset_folder.read_recipe(zoo.preset_directory(options.name))
    evaluation_flags.check(trained, options)
    filter_startup_lines()
    from zoo import evaluate, pictures

    _prepare_process(recipes.RECIPES.get(trained.get("name")))
    model = zoo.load(options.name)
    evaluation = dataclasses.replace(
        evaluation_flags.evaluation(model, trained, options), episodes=1
    )
    stream, pairs = evaluation.stream, None
    if getattr(model, "verifies_pairs", False) and stream.pairs():
        pairs = evaluate.evaluation_episodes(
            dataclasses.replace(
                evaluation, stream=stream.pairs(), episodes=PAIRS
            )
        )
    with evaluate.as_asked(model, evaluation):
        for path in pictures.draw(
            model,
            evaluate.evaluation_episodes(evaluation),
            options.output,
            trained.get("history"),
            options.method,
            pairs,
            stream.curves(),
            stream.class_names(evaluation.seed),
        ):
            print(path)


def _prepare_process(recipe):
    """Sets the memory and the threads with which a model runs fastest.

    Args:
        recipe: Its `zoo.recipes.Recipe`; None leaves the threads as they are.
    """
    from keras_meta import allocator, threads

    allocator.keep_freed_memory()
    if recipe is None or not recipe.side_by_side:
        return
    # Once TensorFlow has run an operation its threads cannot be changed. The
    # command is then slower, not wrong.
    with contextlib.suppress(RuntimeError):
        threads.set_threads(side_by_side=True)


COMMANDS = {
    "list": list_command,
    "show": show_command,
    "train": train_command,
    "evaluate": evaluate_command,
    "fit": fit_command,
    "predict": predict_command,
    "demo": demo_command,
    "serve": serve_command,
    "export": export_command,
    "plot": plot_command,
}

if __name__ == "__main__":
    sys.exit(main())

"""Trains, measures, exports and draws a few-shot model in a minute.

A Prototypical Network trains on Latin and Greek letters. It is measured on
Cyrillic, Armenian and Lao letters that it never saw, with one example of each.

    python examples/quickstart.py [--output quickstart] [--steps 400]
"""

import argparse
import pathlib
import shutil

import keras

import keras_meta as km
from zoo import pictures, streams


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default="quickstart")
    parser.add_argument("--steps", type=int, default=400)
    text = "in the test; each validation has a sixth of them"
    parser.add_argument("--episodes", type=int, default=600, help=text)
    options = parser.parse_args()
    keras.utils.set_random_seed(0)

    def episodes(split, way):
        letters = km.data.load_glyphs(split)
        return km.data.episode_dataset(*letters, way, 1, queries=5, seed=0)

    train, validation = episodes("train", way=30), episodes("validation", 5)
    test = episodes("test", 5)
    model = km.models.PrototypicalNetwork(
        encoder=km.encoders.conv4(filters=64),
        preprocessing=km.Preprocessing(size=28, ink=True),
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[km.metrics.AccuracyInterval()],
    )
    history = model.fit(
        train.batch(1),
        steps_per_epoch=options.steps // 8,
        epochs=8,
        validation_data=validation.take(options.episodes // 6).batch(20),
        verbose=2,
    ).history
    measured = test.take(options.episodes).batch(20)
    logs = model.evaluate(measured, return_dict=True, verbose=0)
    print(
        "5-way 1-shot on letters of unseen scripts, "
        f"{options.episodes} episodes: {logs['task_accuracy']:.1%} ± "
        f"{logs['task_accuracy_interval']:.1%} (chance 20%)"
    )
    served = options.output / "served"
    shutil.rmtree(served, ignore_errors=True)
    model.export(served)
    names = streams.Episodes(
        "glyphs", way=5, shot=1, queries=5, rotations=False
    ).class_names(seed=0)
    drawn = pictures.draw(
        model, test.batch(1), options.output, history, class_names=names
    )
    print("Wrote:", served, *drawn, sep="\n  ")


if __name__ == "__main__":
    main()

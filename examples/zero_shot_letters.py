"""Recognises letters it never saw from the words of their names.

    python examples/zero_shot_letters.py [--episodes 200]

No training letter has the same words as a test letter, but each of the words
is in training letters: E WITH GRAVE and A WITH ACUTE, say, for E WITH ACUTE.
"""

import argparse

import numpy as np

import keras_meta as km
import zoo


def measure(model, episodes, batch):
    """Mean accuracy over episodes with its 95% interval, as text."""
    model.compile(loss="mse", metrics=[km.metrics.AccuracyInterval("accuracy")])
    logs = model.evaluate(episodes.batch(batch), return_dict=True, verbose=0)
    accuracy, interval = logs["accuracy"], logs["accuracy_interval"]
    return f"{100 * accuracy:5.1f} ± {100 * interval:.1f} %"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    text = "that each accuracy is the mean of"
    parser.add_argument("--episodes", type=int, default=200, help=text)
    count = parser.parse_args().episodes
    images, labels = km.data.load_glyphs("test", protocol="combinations")
    descriptions = km.data.describe_glyphs(labels)
    names = np.unique(labels)

    zero_shot = zoo.load("zero_shot_prototypical_network_glyphs")
    one_shot = {
        "one example, the same encoder": km.models.PrototypicalNetwork(
            zero_shot.encoder
        ),
        "one example, trained on Omniglot": zoo.load(
            "prototypical_network_omniglot"
        ),
    }
    for way in (5, 20, len(names)):
        print(f"{way} letters, chance {100 / way:.1f} %")
        drawn = dict(way=way, queries=5, seed=1)
        episodes = km.data.zero_shot_dataset(
            images, labels, descriptions, **drawn
        ).take(count)
        batch = max(1, 500 // way)
        print(f"  {measure(zero_shot, episodes, batch)}  the words of the name")
        episodes = km.data.episode_dataset(images, labels, shot=1, **drawn)
        episodes = episodes.take(count)
        for what, model in one_shot.items():
            print(f"  {measure(model, episodes, batch)}  {what}")

    # One task with all letters; each picture gets the nearest name.
    vectors = np.stack([descriptions[name] for name in names])
    task = zero_shot.adapt(vectors[None], np.eye(len(names), dtype="f")[None])
    pictures = images[:: len(images) // 4][None] / np.float32(255)
    nearest = np.argmax(zero_shot.infer(task, pictures)[0], axis=1)
    for true, found in zip(labels[:: len(images) // 4], nearest, strict=True):
        print(f"{true.split('/')[1]}: taken for {names[found].split('/')[1]}")


if __name__ == "__main__":
    main()

"""Learns your own classes from a folder of pictures, and keeps learning.

    python examples/own_image_folder.py [FOLDER]

FOLDER holds one folder of pictures per class. Without it, scans of Lao
letters are made, black on white and 90 pixels high.
"""

import pathlib
import sys
import tempfile

import numpy as np
from PIL import Image

import keras_meta as km
import zoo


def make_scans(folder, classes=5, each=4):
    """Writes black-on-white pictures of letters, one folder per class."""
    images, labels = km.data.load_glyphs("test")
    for label in np.unique(labels[np.char.startswith(labels, "Lao")])[:classes]:
        (folder / label.split()[-1]).mkdir()
        for number, image in enumerate(images[labels == label][:each]):
            scan = Image.fromarray(255 - image[..., 0]).resize((80, 90))
            scan.save(folder / label.split()[-1] / f"{number}.png")


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        if sys.argv[1:]:
            folder = pathlib.Path(sys.argv[1])
        else:
            make_scans(folder)
        model = zoo.load("prototypical_network_omniglot")
        # Each picture is decoded, and so checked, in the next line.
        files, labels = km.data.load_image_folder(
            folder, model.preprocessing.size, check=False
        )
        pictures = [km.data.read_picture(path) for path in files.pictures]

    # The first picture of each class is its support, the others are queries.
    _, first = np.unique(labels, return_index=True)
    rest = np.setdiff1d(np.arange(len(labels)), first)
    support, queries = (
        ([pictures[i] for i in rows], labels[rows]) for rows in (first, rest)
    )
    classifier = km.FewShotClassifier(model).fit(*support)
    print(f"Learned {len(first)} classes: {', '.join(classifier.classes_)}")
    print(f"Accuracy on {len(rest)} others: {classifier.score(*queries):.0%}")

    blank = [np.full((50, 50), 255, "uint8")]
    classifier.add_class(blank, "nothing")
    print(f"An empty page is now: {classifier.predict(blank)[0]}")


if __name__ == "__main__":
    main()

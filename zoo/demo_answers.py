"""What the demo answers: from pictures of classes to a label and a map.

No function here knows of a page or a server. A class is a pair of its name and
the tuple of its pictures, each the bytes of an image file; the classes of a
page are a tuple of them. Classes and pictures are named by their places, from
0, so that two classes may have one name while one is being typed.
"""

import dataclasses
import io

import numpy as np
from PIL import Image

import keras_meta as km
import zoo
from keras_meta import classifier_files, novelty
from keras_meta.data.encoded_images import decode_picture
from keras_meta.plots.projection import project
from zoo import predictions, preset_folder

# What a page may hold: for a clear message before it becomes slow.
CLASSES, PICTURES = 30, 300
# The longer side of a picture that the page keeps.
LONGEST = 512
# Examples that are shown as the nearest.
NEAREST = 5


@dataclasses.dataclass(frozen=True)
class Learned:
    """Classes that were learned from the examples on the page.

    Attributes:
        classifier: The fitted `keras_meta.FewShotClassifier`, whose labels
            are the places of the classes; None if something is missing.
        missing: What the user has to add first; empty if nothing.
        places: Integer array `(n, 2)`: the class of each example, and its
            place among the pictures of the class.
        images: float32 array `(n, ...)`: the examples, as a classifier takes
            them; None if something is missing.
        embeddings: float64 array `(n, dim)`; None if the model has none.
    """

    classifier: km.FewShotClassifier | None
    missing: str
    places: np.ndarray
    images: np.ndarray | None = None
    embeddings: np.ndarray | None = None


def opening(name, directory):
    """The model of the demo, and the classes that it begins with.

    Args:
        name: What the user called it, for messages.
        directory: Path of a preset, or of a classifier of `keras-meta fit`.

    Returns:
        `(model, classes)`: an `EpisodicModel` of pictures, and the classes of
        a classifier or none.

    Raises:
        ValueError: If it is damaged, does not learn from pictures, or has
            more classes than a page shows.
    """
    if not preset_folder.is_classifier(directory):
        model = zoo.load(name)
        predictions.check_learns_pictures(name, model)
        return model, ()
    model, images, labels, _ = classifier_files.read(directory)
    predictions.check_learns_pictures(name, model)
    classes = tuple(
        (
            str(label),
            tuple(
                shown(model, image)
                for image in images[[other == label for other in labels]]
            ),
        )
        for label in dict.fromkeys(labels.tolist())
    )
    check_classes(classes)
    return model, classes


def shown(model, image):
    """A prepared image as a PNG file, ink black on white.

    Args:
        model: The `EpisodicModel` that it was prepared for.
        image: float32 `(height, width, channels)`.

    Returns:
        bytes.
    """
    pixels = np.clip(model.preprocessing.unscaled(image), 0, 1)
    if model.preprocessing.ink:
        pixels = 1 - pixels
    return _png(Image.fromarray(_grey_or_rgb(pixels * 255)))


def read_picture(file, name):
    """Reads a file that the user chose, and keeps a small picture of it.

    Args:
        file: bytes of the file.
        name: What the user calls it.

    Returns:
        bytes of a PNG file, at most `LONGEST` pixels wide and high.

    Raises:
        ValueError: If it is no picture that can be read.
    """
    try:
        pixels = decode_picture(io.BytesIO(file), name)
    except ValueError as error:
        raise ValueError(
            f"{name} cannot be read as a picture. Choose a whole file in a "
            "common format, such as PNG, JPEG or WebP."
        ) from error
    picture = Image.fromarray(_grey_or_rgb(pixels))
    picture.thumbnail((LONGEST, LONGEST))
    return _png(picture)


def check_classes(classes):
    """Raises a ValueError unless a page can show so many pictures.

    Args:
        classes: The classes of a page.
    """
    count = sum(len(pictures) for _, pictures in classes)
    if len(classes) > CLASSES or count > PICTURES:
        raise ValueError(
            f"The demo takes up to {CLASSES} classes and {PICTURES} pictures. "
            f"Received: {len(classes)} classes and {count} pictures"
        )


def learn(model, classes):
    """Learns the classes that have a picture.

    With two examples of each class the confidence is calibrated, but for
    models without embeddings: these learn by steps, and would take them anew
    for each example that is left out.

    Args:
        model: An `EpisodicModel` of pictures.
        classes: The classes of a page; those without pictures are left out.

    Returns:
        A `Learned`.

    Raises:
        ValueError: For two classes of one name, too many classes or pictures,
            and an empty picture.
    """
    check_classes(classes)
    places = np.array(
        [
            (k, i)
            for k, (_, pictures) in enumerate(classes)
            for i in range(len(pictures))
        ],
        int,
    ).reshape(-1, 2)
    names = [classes[k][0] for k in np.unique(places[:, 0])]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"Two classes are called {twice[0]!r}; give each its own name."
        )
    missing = _missing(names)
    if missing:
        return Learned(None, missing, places)
    images = np.concatenate(
        [
            _prepared(model, picture, f"An example of {name!r}")
            for name, pictures in classes
            for picture in pictures
        ]
    )
    embeddings = None
    if embeds(model):
        embeddings = novelty.embed(model, images)
    counts = np.unique(places[:, 0], return_counts=True)[1]
    calibrate = embeddings is not None and counts.min() > 1
    images = predictions.unscaled(model, images)
    classifier = km.FewShotClassifier(model).fit(
        images, places[:, 0], calibrate=calibrate
    )
    return Learned(classifier, "", places, images, embeddings)


def embeds(model):
    """Whether a model has embeddings, for neighbours and a map."""
    return bool(model.embed or model.feature_maps)


def answer(learned, model, query):
    """Classifies a picture, and says what it is near to.

    Args:
        learned: What `learn` returned.
        model: The model that it was called with.
        query: bytes of an image file, or None if there is no picture yet.

    Returns:
        Dict for the page. `missing` is what the user has to do first, or
        empty. `map` is that of `embedding_map`, None without classes or
        embeddings. The others are None without a query: `label`, the place of
        the class; `confidence`, its probability; `calibrated`, whether that
        was fitted to examples; `probabilities`, pairs of a place and a
        probability, the largest first; `nearest`, dicts of `class`, `picture`
        and `distance`, None without embeddings; and `seen`, the PNG file of
        the picture as the model sees it.

    Raises:
        ValueError: For an empty picture.
    """
    found = dict.fromkeys(
        ("label", "confidence", "calibrated", "probabilities", "nearest")
    )
    found |= {"missing": learned.missing, "map": None, "seen": None}
    classifier, embedded = learned.classifier, None
    if query is not None:
        image = _prepared(model, query, "The new picture")
        found["seen"] = shown(model, image[0])
    if classifier is None:
        return found
    if query is None:
        found["missing"] = "Now draw or upload a new picture."
    else:
        pictures = predictions.unscaled(model, image)
        if model.transductive:
            # It takes the moments of all that it classifies at once, which
            # one picture alone would give badly.
            pictures = np.concatenate([pictures, learned.images])
        row = classifier.predict_proba(pictures)[0]
        order = np.argsort(-row, kind="stable")
        classes = classifier.classes_.tolist()
        found |= {
            "label": classes[order[0]],
            "confidence": float(row[order[0]]),
            "calibrated": classifier.temperature_ is not None,
            "probabilities": [(classes[k], float(row[k])) for k in order],
        }
    if learned.embeddings is not None:
        if query is not None:
            embedded = novelty.embed(model, image)
            found["nearest"] = nearest(learned, embedded)
        found["map"] = embedding_map(learned, embedded)
    return found


def nearest(learned, embedded):
    """The examples whose embeddings are nearest to a new one.

    Args:
        learned: What `learn` returned, with embeddings.
        embedded: float64 array `(1, dim)`.

    Returns:
        List of at most `NEAREST` dicts, the nearest first: `class` and
        `picture`, the place of the example, and `distance`, Euclidean.
    """
    distances = np.linalg.norm(learned.embeddings - embedded, axis=1)
    return [
        {
            "class": int(learned.places[row, 0]),
            "picture": int(learned.places[row, 1]),
            "distance": float(distances[row]),
        }
        for row in np.argsort(distances, kind="stable")[:NEAREST]
    ]


def embedding_map(learned, embedded=None):
    """Examples and a new picture in the plane of their largest variance.

    Args:
        learned: What `learn` returned, with embeddings.
        embedded: float64 array `(1, dim)` of a new picture, or None.

    Returns:
        Dict of `points`, a list of `(class, picture, x, y)`; `query`, the
        `(x, y)` of the new picture or None; and `axes`, their two names.
    """
    vectors = learned.embeddings
    if embedded is not None:
        vectors = np.concatenate([vectors, embedded])
    points, _, axes = project(vectors, vectors[:0], "pca", seed=0)
    count = len(learned.places)
    return {
        "points": [
            (*place, *point)
            for place, point in zip(
                learned.places.tolist(), points[:count].tolist(), strict=True
            )
        ],
        "query": None if embedded is None else points[count].tolist(),
        "axes": axes,
    }


def _missing(names):
    """What the user has to add to these classes; empty if nothing."""
    if not names:
        return (
            "No classes yet: draw or upload an example of each of two classes."
        )
    if len(names) == 1:
        return (
            f"There is one class so far, {names[0]!r}: draw or upload an "
            "example of a second one."
        )
    return ""


def _prepared(model, picture, name):
    """The picture as the model takes it, `(1, height, width, channels)`."""
    pixels = decode_picture(io.BytesIO(picture), name)
    if pixels.min() == pixels.max():
        raise ValueError(f"{name} is empty: all of it has one colour.")
    return model.preprocessing([pixels])


def _grey_or_rgb(pixels):
    """uint8 pixels as Pillow takes them; what is transparent shows white."""
    pixels = np.asarray(pixels, "float32")
    if pixels.shape[-1] == 4:
        alpha = pixels[..., 3:] / 255
        pixels = pixels[..., :3] * alpha + 255 * (1 - alpha)
    if pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return np.rint(pixels).astype("uint8")


def _png(picture):
    """The bytes of a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()

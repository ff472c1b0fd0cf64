"""Scans of three kinds of shapes, and a few-shot classifier of them."""

import keras
import numpy as np

import keras_meta as km


def model(**kwargs):
    """An untrained encoder of 8 x 8 pixels: enough to tell patterns apart."""
    keras.utils.set_random_seed(0)
    kwargs.setdefault("preprocessing", km.Preprocessing(size=8, ink=True))
    encoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(32)])
    return km.models.PrototypicalNetwork(encoder, **kwargs)


def pictures(kind, count, seed=0, size=40):
    """Black-on-white scans of a kind of shape, slightly different each."""
    rng = np.random.default_rng(seed)
    scans = np.full((count, size, size), 255, "uint8")
    for scan in scans:
        a, b = rng.integers(8, 12), rng.integers(26, 30)
        if kind == "bar":
            scan[a:b, 18:23] = 20
        elif kind == "dash":
            scan[18:23, a:b] = 20
        else:
            scan[a:b, a:b] = 20
    return scans


KINDS = ["bar", "dash", "box"]


def fitted(**kwargs):
    images = np.concatenate([pictures(kind, 2) for kind in KINDS])
    return km.FewShotClassifier(model(**kwargs)).fit(
        images, np.repeat(KINDS, 2).tolist()
    )

"""A small model for tests of the server, and requests as clients send them."""

import base64

import keras
from demo_drawings import drawing, examples

import keras_meta as km

SIZE = 8


def small_model(**options):
    """A built Prototypical Network of drawings."""
    keras.utils.set_random_seed(0)
    preprocessing = km.Preprocessing(SIZE, ink=True)
    options = {"preprocessing": preprocessing, **options}
    model = km.models.PrototypicalNetwork(km.encoders.mlp((8,)), **options)
    return built(model, (SIZE, SIZE, 1))


def built(model, shape):
    """The model with weights for examples of a shape."""
    examples_of_it = (None, None, *shape)
    model.build(
        {
            "support_x": examples_of_it,
            "support_y": (None, None, None),
            "query_x": examples_of_it,
        }
    )
    return model


def encoded(file):
    """The bytes of a file in base64, as str."""
    return base64.b64encode(file).decode()


def new_class(name, count=2):
    """The message that adds a class."""
    _, pictures = examples(name, count)
    return {"label": name, "images": [*map(encoded, pictures)]}


def query(*names, **options):
    """The message that asks for the classes of drawings."""
    return {"images": [encoded(drawing(n, 66)) for n in names], **options}

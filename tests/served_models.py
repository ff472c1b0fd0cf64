"""A small model for tests of the server, and requests as clients send them."""

import base64
import io

import keras
from demo_drawings import drawing, examples, file_of
from PIL import Image

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


def small(file):
    """A drawing as a file of 24 x 24 pixels, which needs no cleaning."""
    picture = Image.open(io.BytesIO(file))
    return file_of(picture.resize((24, 24), Image.Resampling.BOX))


def encoded(file):
    """The bytes of a file in base64, as str."""
    return base64.b64encode(file).decode()


def new_class(name, count=2):
    """The message that adds a class."""
    _, pictures = examples(name, count)
    pictures = [encoded(small(picture)) for picture in pictures]
    return {"label": name, "images": pictures}


def query(*names, **options):
    """The message that asks for the classes of drawings."""
    pictures = [encoded(small(drawing(name, 66))) for name in names]
    return {"images": pictures, **options}

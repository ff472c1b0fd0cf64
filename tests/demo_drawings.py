"""Drawings as the demo's page sends them."""

import io

from PIL import Image, ImageDraw

SHAPES = {
    "ring": lambda pen, x: pen.ellipse((x, 60, x + 120, 180), width=12),
    "cross": lambda pen, x: [
        pen.line((x, 60, x + 120, 180), width=12, fill=0),
        pen.line((x + 120, 60, x, 180), width=12, fill=0),
    ],
    "bar": lambda pen, x: pen.line((x, 120, x + 130, 120), width=12, fill=0),
}


def drawing(name, x=60):
    """Black strokes on white as the page's canvas gives them, a PNG file."""
    picture = Image.new("L", (256, 256), 255)
    SHAPES[name](ImageDraw.Draw(picture), x)
    return file_of(picture)


def file_of(picture, kind="PNG"):
    """The bytes of a PIL picture as a file."""
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def examples(name, count=2):
    """A class as `zoo.demo_answers` takes it."""
    return name, tuple(drawing(name, 40 + 12 * n) for n in range(count))

"""What the server of `keras-meta serve` is sent and sends, as JSON.

Pydantic checks it, and FastAPI describes it in the OpenAPI page.
"""

import base64
import binascii
from typing import Annotated, Any

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

# Arrays of numbers, by rank: a table's row or the like, grey pictures, colour
# pictures.
_NUMBER = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_ROW = Annotated[list[_NUMBER], Field(min_length=1)]
_GREY = Annotated[list[_ROW], Field(min_length=1)]
_COLOUR = Annotated[list[_GREY], Field(min_length=1)]
_ARRAYS = [TypeAdapter(kind) for kind in (_ROW, _GREY, _COLOUR)]
EXPECTED = (
    "it must be a picture file in base64, or an array of finite numbers of "
    "one shape: (height, width), (height, width, channels), or that of the "
    "model's examples"
)


def example(value):
    """An example as the bytes of a file or a float64 array.

    Args:
        value: What JSON held.

    Returns:
        bytes or NumPy array.

    Raises:
        ValueError: If it is neither.
    """
    if isinstance(value, str):
        _, _, behind = value.partition(";base64,")
        try:
            return base64.b64decode(behind or value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"{EXPECTED}. Received: {error}") from error
    rank, inside = 0, value
    while isinstance(inside, list) and inside and rank < len(_ARRAYS):
        rank, inside = rank + 1, inside[0]
    try:
        if not rank:
            raise ValueError(f"{type(value).__name__}")
        return np.array(_ARRAYS[rank - 1].validate_python(value), "float64")
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = "".join(f"[{place}]" for place in first["loc"])
        raise ValueError(
            f"{EXPECTED}. Received at {where or 'its top'}: {first['msg']}"
        ) from error
    # Rows of several lengths.
    except ValueError as error:
        raise ValueError(f"{EXPECTED}. Received: {error}") from error


Example = Annotated[
    Any,
    BeforeValidator(example),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "string",
                    "description": "A picture file (PNG, JPEG ...) in "
                    "base64, or a data URL of one",
                },
                {
                    "type": "array",
                    "minItems": 1,
                    "description": "Numbers (height, width) or (height, "
                    "width, channels), 0 to 1 if none is above 1, otherwise "
                    "0 to 255; for a model without pictures, an example of "
                    "its own shape",
                    "items": {"anyOf": [{"type": "number"}, {"type": "array"}]},
                },
            ]
        }
    ),
]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Share = Annotated[
    float,
    Field(
        gt=0,
        lt=1,
        allow_inf_nan=False,
        description="Refuse examples of no class, and about this share of "
        "those of a class",
    ),
]


class Message(BaseModel):
    """Other fields than those of a message are refused."""

    model_config = ConfigDict(extra="forbid")


class Known(Message):
    """The classes that the server knows."""

    classes: dict[str, int] = Field(description="Examples of each class")
    ready: bool = Field(description="Whether there are two classes at least")


class Health(Known):
    """The state of the server."""

    status: str
    model: str
    version: str


class Answer(Message):
    """The prediction of one example."""

    label: str | None = Field(description="None of an example refused")
    probabilities: dict[str, float] = Field(description="Largest first")


class Answers(Message):
    """One answer for each example, in their order."""

    predictions: list[Answer]


class Fault(Message):
    """What is wrong with one field of a request."""

    loc: list[str | int] = Field(description="Where the field is")
    msg: str
    type: str


class Problem(Message):
    """Why a request was refused."""

    detail: list[Fault]


def requests(limits):
    """The messages that clients send.

    Args:
        limits: `zoo.serving_limits.Limits`.

    Returns:
        Pydantic models `(NewClass, Query)`.
    """
    several = Annotated[
        list[Example], Field(min_length=1, max_length=limits.images)
    ]

    class NewClass(Message):
        label: Label
        images: several

    class Query(Message):
        images: several
        classes: (
            Annotated[
                list[NewClass], Field(min_length=2, max_length=limits.classes)
            ]
            | None
        ) = Field(
            None,
            description="Classes of this request alone, instead of those "
            "that the server knows",
        )
        unknown: Share | None = None

    return NewClass, Query

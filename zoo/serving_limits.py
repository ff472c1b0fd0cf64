"""How much a server takes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """What requests are refused for, before they become slow.

    Attributes:
        megabytes: Of 2^20 bytes: the size of a request.
        images: Images of one class, or to classify, in a request.
        classes: Classes that are known at once, or given with a request.
        examples: Examples of all of these classes together.
    """

    megabytes: int = 32
    images: int = 256
    classes: int = 100
    examples: int = 2000

"""Labelled photographs that Debian packages ship.

| data set | package | classes |
|---|---|---|
| `gcompris` | `gcompris-qt-data` | six, 158 photographs |
| `tuxpaint` | `tuxpaint-stamps-default` | nine, 220 photographs |

Those of `gcompris` lie in Qt's resource files; those of `tuxpaint` are cut out
and put on white. A package is unpacked by hand or by
`python -m benchmarks.photos`; nothing of it is part of the library.
"""

import pathlib
import struct
import zlib

PACKAGES = {
    "gcompris": "gcompris-qt-data",
    "tuxpaint": "tuxpaint-stamps-default",
}
RESOURCES = "usr/share/gcompris-qt/rcc"
STAMPS = "usr/share/tuxpaint/stamps"
# The folders of the resource files that hold photographs, and the class of
# each picture whose name begins so.
GCOMPRIS = (
    (
        "categorization.rcc",
        "categorization/resource/images/fishes/",
        {"fish": "fish"},
    ),
    (
        "categorization.rcc",
        "categorization/resource/images/monuments/",
        {"": "monument"},
    ),
    (
        "categorization.rcc",
        "categorization/resource/images/tools/",
        {"": "tool"},
    ),
    (
        "categorization.rcc",
        "categorization/resource/images/renewable/",
        {"windmill": "windmill"},
    ),
    (
        "erase.rcc",
        "erase/resource/",
        {
            **dict.fromkeys(
                "gosling heron kingfisher northern_harrier penguin spoonbills "
                "swans toucan".split(),
                "bird",
            ),
            **dict.fromkeys(
                "alpaca calf camels cheetah dolphin flying_fox gibbon giraffe "
                "goat gorilla horse kitten long_nosed_monkey macaque meerkats "
                "nubian_ibex pika red_panda rhinoceros squirrel".split(),
                "mammal",
            ),
        },
    ),
    (
        "explore_farm_animals.rcc",
        "explore_farm_animals/resource/animals/",
        {
            **dict.fromkeys("chicken duck owl".split(), "bird"),
            **dict.fromkeys("cat cow dog horse pig sheep".split(), "mammal"),
        },
    ),
    (
        "explore_world_animals.rcc",
        "explore_world_animals/resource/animals/",
        {
            "scarlet_macaw": "bird",
            **dict.fromkeys(
                "bison giraffe hedgehog jaguar kangaroo koala lemur moose "
                "narwhal panda polar_bear".split(),
                "mammal",
            ),
        },
    ),
)
# The folders of a class, with those inside but for the drawings.
TUXPAINT = {
    "bird": "animals/birds",
    "fish": "animals/fish",
    "mammal": "animals/mammals",
    "flower": "plants/flowers",
    "fruit": "food/fruit",
    "vegetable": "food/vegetables",
    "tool": "household/tools",
    "instrument": "hobbies/music",
    "vehicle": "vehicles",
}


def load(dataset, folder):
    """Loads the photographs of a package.

    Args:
        dataset: A name of `PACKAGES`.
        folder: Where `dpkg-deb -x` unpacked it.

    Returns:
        `(pictures, labels)`: list of the bytes of picture files, and list of
        str.

    Raises:
        ValueError: If the package is not there, or a file of it is damaged.
    """
    folder = pathlib.Path(folder)
    inside = folder / (RESOURCES if dataset == "gcompris" else STAMPS)
    if not inside.is_dir():
        package = PACKAGES[dataset]
        raise ValueError(
            f"The photographs of {dataset!r} are in the Debian package "
            f"{package}, which must be unpacked in {str(folder)!r}: "
            f"apt-get download {package} && dpkg-deb -x {package}_*.deb "
            f"{str(folder)!r}. Received: a folder without {inside.name}"
        )
    pairs = (_gcompris if dataset == "gcompris" else _tuxpaint)(inside)
    pictures, labels = zip(*pairs, strict=True)
    return list(pictures), list(labels)


def images(dataset, folder, size=224, interpolation="bicubic"):
    """Loads the photographs of a package as images.

    Args:
        dataset, folder: As for `load`.
        size, interpolation: As for `keras_meta.Preprocessing`.

    Returns:
        `(examples, labels)`: `EncodedImages` of the shape `(n, size, size,
        3)`, and an array `(n,)` of str.

    Raises:
        ValueError: As for `load`.
    """
    import numpy as np

    from keras_meta import Preprocessing
    from keras_meta.data.encoded_images import EncodedImages

    pictures, labels = load(dataset, folder)
    preprocessing = Preprocessing(size, 3, interpolation=interpolation)
    return EncodedImages(pictures, preprocessing), np.array(labels)


def _gcompris(folder):
    for file, prefix, classes in GCOMPRIS:
        for path, data in sorted(read_resources(folder / file).items()):
            _, found, name = path.partition(prefix)
            stem = name.removesuffix(".webp")
            if not found or "/" in name or stem == name:
                continue
            for start, label in classes.items():
                if stem.rstrip("0123456789") == start or not start:
                    yield data, label


def _tuxpaint(folder):
    for label, inside in TUXPAINT.items():
        for path in sorted((folder / inside).rglob("*.png")):
            if "cartoon" not in path.parts and "_mirror" not in path.stem:
                yield path.read_bytes(), label


def read_resources(path):
    """The files in a file of Qt's resource format, of versions 1 to 3.

    A header names where a tree of nodes, the data and the names begin. A node
    is the offset of its name, flags, and either the number and the first of
    its children or, after a language, the offset of its data; versions 2 and
    3 add the time of the change. All numbers are big-endian.

    Args:
        path: File that ends in `.rcc`.

    Returns:
        Dict from the path of each file in it to its bytes; files that are
        compressed by Zstandard are left out.

    Raises:
        ValueError: If the file is missing, of another format or damaged.
    """
    try:
        file = pathlib.Path(path).read_bytes()
        magic, version, tree, data, names = struct.unpack_from(">4s4I", file)
        if magic != b"qres" or version not in (1, 2, 3):
            raise ValueError(f"it begins with {file[:8]!r}")
        found = {}
        pending = [(0, "")]
        # Each node once: a circle would have no end.
        for _ in range(len(file)):
            if not pending:
                return found
            node, folder = pending.pop()
            place = tree + (14 if version == 1 else 22) * node
            name, flags, first, second = struct.unpack_from(
                ">IHII", file, place
            )
            own = folder + "/" + _name(file, names + name) if node else ""
            if flags & 2:
                pending += [(second + child, own) for child in range(first)]
            elif not flags & 4:
                found[own] = _data(file, data + second, flags & 1)
        raise ValueError("its tree is a circle")
    except (OSError, ValueError, struct.error, zlib.error) as error:
        raise ValueError(
            f"`path` must be a resource file of Qt. Received: "
            f"path={str(path)!r}: {error}"
        ) from error


def _name(file, place):
    """A name: its length, a hash, and UTF-16."""
    length = struct.unpack_from(">H", file, place)[0]
    return file[place + 6 : place + 6 + 2 * length].decode("utf-16-be")


def _data(file, place, compressed):
    """The bytes of a file: their length and, if packed, that of the whole."""
    length = struct.unpack_from(">I", file, place)[0]
    found = file[place + 4 : place + 4 + length]
    if len(found) != length:
        raise ValueError("it is cut off")
    return zlib.decompress(found[4:]) if compressed else found

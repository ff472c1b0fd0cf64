"""Damage to files, drawn by Hypothesis, and what must come of it.

    python tests/file_damage.py --examples 500

runs all of it with more examples than the test suite does.
"""

import argparse
import copy
import io
import json
import pathlib
import shutil
import tempfile
import warnings
import zipfile

import hypothesis
import keras
import numpy as np
from hypothesis import strategies as st
from PIL import Image

import keras_meta as km
from keras_meta import classifier_files, presets
from zoo import preset_folder
from zoo.evaluation_flags import stream

# What takes the place of a value in JSON.
ODD_VALUES = (
    *(None, True, -1, 0, 1.5, 2**70, float("nan"), "", "text", [], {}, [[]]),
    *({"class_name": "Dense", "config": {}}, {"class_name": "os.system"}),
)


@st.composite
def damaged_bytes(draw, data):
    """The bytes of a file: cut, with other bytes, or parts moved."""
    kind = draw(st.sampled_from(["cut", "flip", "put", "drop", "zero", "swap"]))
    place = draw(st.integers(0, len(data) - 1))
    end = min(len(data), place + draw(st.integers(1, 64)))
    if kind == "cut":
        return data[:place]
    if kind == "drop":
        return data[:place] + data[end:]
    if kind == "zero":
        return data[:place] + bytes(end - place) + data[end:]
    if kind == "put":
        return data[:place] + draw(st.binary(max_size=64)) + data[place:]
    if kind == "swap":
        return data[end:] + data[place:end] + data[:place]
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 8))):
        found[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
    return bytes(found)


def _places(value, path=()):
    """The paths of all values in JSON."""
    yield path
    inside = ()
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    for key, part in inside:
        yield from _places(part, (*path, key))


@st.composite
def damaged_json(draw, value):
    """JSON in which values are replaced, left out, doubled or swapped."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([*_places(value)]))
        odd = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
        if not path:
            # The whole of it is replaced less often than a part.
            if draw(st.integers(0, 9)) == 0:
                return odd
            continue
        *way, last = path
        holder = value
        for key in way:
            holder = holder[key]
        kind = draw(st.sampled_from(["replace", "leave out", "more", "swap"]))
        if kind == "replace":
            holder[last] = odd
        elif kind == "leave out":
            del holder[last]
        elif isinstance(holder, list):
            holder.insert(0, holder[-1])
        elif kind == "more":
            holder["more"] = odd
        else:
            first = next(iter(holder))
            holder[first], holder[last] = holder[last], holder[first]
    return value


@st.composite
def damaged_zip(draw, data):
    """A zip archive whose members are damaged, renamed, doubled or left out."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            kind = draw(st.sampled_from(["damage", "rename", "drop", "keep"]))
            if kind == "damage":
                content = draw(damaged_bytes(content))
            elif kind == "rename":
                name = draw(st.sampled_from(["../x", "/x", "x/", "a\0b"]))
            # Two members of one name are allowed, and warned of.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if kind != "drop":
                    archive.writestr(name, content)
    return file.getvalue()


def whole_classifier(folder):
    """Writes a small classifier, and returns its folder."""
    keras.utils.set_random_seed(0)
    model = km.models.PrototypicalNetwork(
        km.encoders.mlp((3,)), preprocessing=km.Preprocessing(4)
    )
    images = np.random.default_rng(0).random((6, 4, 4))
    classifier = km.FewShotClassifier(model)
    classifier.fit(images, list("aabbcc"), calibrate=True)
    classifier.save(folder)
    return folder


def picture_files():
    """Small files of the usual kinds, by kind."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), "uint8")
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    found = {}
    for kind in ("png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm", "ico"):
        file = io.BytesIO()
        options = {"exif": exif} if kind in ("jpeg", "png", "webp") else {}
        image.save(file, kind, **options)
        found[kind] = file.getvalue()
    return found


def refuse_or(load, path):
    """Loads a damaged file: what comes is whole, or the error names it.

    Args:
        load: Function without arguments.
        path: The file.

    Returns:
        What `load` returned; None after its error.
    """
    try:
        return load()
    except ValueError as error:
        # No error of another library by itself, such as JSONDecodeError.
        assert type(error) is ValueError, repr(error)
        assert path.name in str(error), str(error)
        return None


class Damage:
    """The checks, on copies of whole files in a folder.

    Args:
        folder: Path of an empty folder.
    """

    def __init__(self, folder):
        self.folder = whole_classifier(folder / "classifier")
        self.whole = {
            path.name: path.read_bytes() for path in self.folder.iterdir()
        }
        self.preset = folder / "preset"
        self.preset.mkdir()
        (example,) = preset_folder_of_the_zoo()
        for name in ("recipe.json", "results.json", "README.md"):
            shutil.copy(example / name, self.preset)
        self.pictures = picture_files()
        self.place = folder

    def restored(self, name):
        """The path of a file of the classifier; all files are whole again."""
        for other, data in self.whole.items():
            path = self.folder / other
            if path.read_bytes() != data:
                path.write_bytes(data)
        return self.folder / name

    def sums(self, data):
        """Without new sums every damage is found before a file is read."""
        names = [name for name in sorted(self.whole) if name != presets.SUMS]
        path = self.restored(data.draw(st.sampled_from(names)))
        changed = data.draw(damaged_bytes(self.whole[path.name]))
        path.write_bytes(changed)
        found = refuse_or(lambda: presets.check_sums(self.folder), path)
        assert found is None

    def sums_file(self, data):
        """The file of sums itself."""
        path = self.restored(presets.SUMS)
        path.write_bytes(data.draw(damaged_bytes(self.whole[path.name])))
        try:
            presets.check_sums(self.folder)
        except ValueError as error:
            # A damaged sum looks like a damaged file.
            assert type(error) is ValueError

    def labels(self, data):
        """The labels of a classifier."""
        path = self.restored(presets.LABELS)
        whole = json.loads(self.whole[path.name])
        if data.draw(st.booleans()):
            changed = json.dumps(data.draw(damaged_json(whole))).encode()
        else:
            changed = data.draw(damaged_bytes(self.whole[path.name]))
        path.write_bytes(changed)
        read = classifier_files._read_labels
        found = refuse_or(lambda: read(path, 6), path)
        assert found is None or len(found) == 6

    def support(self, data):
        """The examples of a classifier."""
        path = self.restored(presets.SUPPORT)
        damage = data.draw(st.sampled_from([damaged_bytes, damaged_zip]))
        path.write_bytes(data.draw(damage(self.whole[path.name])))
        read = classifier_files._read_support
        found = refuse_or(lambda: read(path), path)
        if found is not None:
            images, temperature = found
            assert np.isfinite(images).all()
            assert temperature is None or temperature > 0

    def config(self, data):
        """The config of a model, under new sums."""
        path = self.restored(presets.CONFIG)
        whole = json.loads(self.whole[path.name])
        path.write_text(json.dumps(data.draw(damaged_json(whole))))
        presets.write_sums(self.folder)
        found = self._loaded(lambda: presets.load(self.folder))
        assert found is None or isinstance(found, keras.Model)

    def weights(self, data):
        """The weights of a model, under new sums."""
        path = self.restored(presets.WEIGHTS)
        path.write_bytes(data.draw(damaged_bytes(self.whole[path.name])))
        presets.write_sums(self.folder)
        found = self._loaded(lambda: presets.load(self.folder))
        assert found is None or isinstance(found, keras.Model)

    def _loaded(self, load):
        try:
            return load()
        except ValueError as error:
            assert type(error) is ValueError, repr(error)
            # A changed config may no longer fit the whole weights.
            assert str(self.folder) in str(error)
            return None

    def records(self, data):
        """The recipe, the results and the card of a preset."""
        name = data.draw(st.sampled_from([*self._readers()]))
        path = self.preset / name
        whole = path.read_bytes()
        changed = data.draw(damaged_bytes(whole))
        if name.endswith(".json") and data.draw(st.booleans()):
            odd = data.draw(damaged_json(json.loads(whole)))
            changed = json.dumps(odd).encode()
        path.write_bytes(changed)
        try:
            refuse_or(lambda: self._readers()[name](self.preset), path)
        finally:
            path.write_bytes(whole)

    def _readers(self):
        return {
            preset_folder.RECIPE: lambda folder: stream(
                preset_folder.read_recipe(folder)
            ),
            preset_folder.RESULTS: preset_folder.read_results,
            preset_folder.CARD: preset_folder.read_card,
        }

    def picture(self, data):
        """Pictures of all usual kinds."""
        kind = data.draw(st.sampled_from(sorted(self.pictures)))
        path = self.place / f"picture.{kind}"
        path.write_bytes(data.draw(damaged_bytes(self.pictures[kind])))
        found = refuse_or(lambda: km.data.read_picture(path), path)
        if found is not None:
            assert found.dtype == np.uint8 and found.shape[-1] in (1, 3, 4)

    def table(self, data):
        """Tables of files and labels."""
        files = {"a.png": "cat", "b.png": "dog", "c d.png": "hen"}
        for name in files:
            (self.place / name).write_bytes(self.pictures["png"])
        rows = "".join(f"{name},{label}\n" for name, label in files.items())
        path = self.place / "table.csv"
        path.write_bytes(data.draw(damaged_bytes(rows.encode())))
        try:
            pictures, labels = km.data.load_image_folder(
                self.place, size=4, table=path, check=False
            )
        except ValueError as error:
            assert type(error) is ValueError, repr(error)
        else:
            assert len(pictures) == len(labels)


def preset_folder_of_the_zoo():
    """The folder of a preset with all files."""
    import zoo

    yield zoo.PRESETS / "prototypical_network_glyphs"


# The checks, and their share of the examples: what builds a model or reads
# HDF5 takes much longer.
CHECKS = {
    "sums": 1.0,
    "sums_file": 1.0,
    "labels": 1.0,
    "support": 1.0,
    "records": 1.0,
    "picture": 3.0,
    "table": 0.5,
    "config": 0.2,
    "weights": 0.1,
}


def check(damage, name, examples, seed=None):
    """Runs a check.

    Args:
        damage: `Damage`.
        name: A name of `CHECKS`.
        examples: How many, before the share of the check.
        seed: Other examples for each number; None for the same always.
    """

    @hypothesis.settings(
        max_examples=max(5, round(examples * CHECKS[name])),
        deadline=None,
        derandomize=seed is None,
        database=None,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.data())
    def run(data):
        getattr(damage, name)(data)

    if seed is not None:
        run = hypothesis.seed(seed)(run)
    run()


def main(arguments=None):
    """Runs all checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=500, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--only", nargs="+", default=CHECKS, metavar="CHECK")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        damage = Damage(pathlib.Path(folder))
        for name in options.only:
            check(damage, name, options.examples, options.seed)
            print(f"{name}: no fault", flush=True)


if __name__ == "__main__":
    main()

"""Letters of many scripts, drawn from the fonts that Matplotlib ships."""

import collections
import functools
import hashlib
import pathlib
import unicodedata

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_meta.checks import check_choice, check_integer
from keras_meta.data.cache import cached_arrays
from keras_meta.data.rotations import rotations_as_classes

DRAWINGS = 20
# The scripts of each split. The order matters: of letters that look the
# same, the first one stays.
SPLITS = {
    "train": ("Latin", "Greek"),
    "validation": ("Georgian",),
    "test": ("Cyrillic", "Armenian", "Lao"),
}
PROTOCOLS = ("scripts", "combinations")
# Pixels along a side, below which letters cannot be told apart.
LEAST_SIZE = 8
# The protocol "combinations": the share of letters that these splits draw,
# before letters are given back whose parts training would lack, and how many
# letters of the training split must have each part of a held-out letter.
HELD_OUT = {"test": 0.2, "validation": 0.12}
LEAST_SEEN = 3
# The font files that hold letters of these scripts; the others of
# Matplotlib hold mathematical symbols, or ASCII under odd encodings.
STYLES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
)
LEAST_STYLES = 8
# Letters, except for modifier letters: they are others in small, and size
# is normalised.
CATEGORIES = ("Lu", "Ll", "Lt", "Lo")
# Share of a picture's height and width that the ink of a letter spans.
INK_SPAN = 20 / 28

# Letters are compared with their longer side at COMPARED cells, twice the
# span of a letter in a 28-pixel picture. The stray ink of two drawings is
# what lies more than REACH cells (one such pixel) away from the ink of the
# other; they look the same when at most STRAY cells of either are, and two
# letters do when their drawings in at least ALIKE of the styles they share
# do. Found by looking: at these numbers C and c, V and v (the same without
# serifs, a little bolder), A, Alpha and Cyrillic A, I and l (the same in
# DejaVu Sans), Greek letters that differ in their breathing, A with
# diaeresis and A with macron become one, while P and p, e with acute and e
# with grave, a with ring and a with diaeresis stay apart. ALIKE = 1/3
# leaves C and c apart; STRAY = 1 joins A with circumflex and A with tilde.
# Between splits it takes less to look the same, or letters such as Latin
# reversed open e and Cyrillic ze would be in two splits.
COMPARED = 40
REACH = 2
STRAY = 0
STRAY_BETWEEN_SPLITS = 8
ALIKE = 1 / 4

# The distortions of the drawings after the first one in each style.
SEED = 0
ROTATION = np.radians(10)
SHEAR = 0.15
SCALE = (0.85, 1.1)
SHIFT = 2 / 28
# Drawings are sampled this many times finer, then averaged.
OVERSAMPLING = 3


def load_glyphs(
    split, rotations=False, size=28, cache_dir=None, protocol="scripts"
):
    """Loads letters of six scripts: Omniglot's form, without a download.

    Each letter (Unicode category L, but not the modifier letters Lm, which
    are other letters in small) that at least 8 of 16 styles of DejaVu and
    STIX have gives 20 drawings, as in Omniglot (Lake et al. 2015): one in
    each of its styles, then the styles again under small random rotations,
    shears, scalings and shifts, the same ones at each call.

    A letter's size and place are normalised first. Of letters that then look
    the same, such as C and c, or the Latin, Greek and Cyrillic A, only the
    first is a class, in the order of the splits, their scripts and Unicode;
    so no letter of the test split looks like one that was trained on. A
    letter turned by 90 degrees may still look like another letter.

    With the protocol `"scripts"`, each split has scripts of its own:

    | split | scripts | classes | drawings |
    |---|---|---|---|
    | train | Latin, Greek | 903 | 18060 |
    | validation | Georgian | 103 | 2060 |
    | test | Cyrillic, Armenian, Lao | 157 | 3140 |

    The protocol `"combinations"` is for zero-shot learning (see
    `describe_glyphs`). It has the scripts with letters that bear marks, and
    holds out letters such as E WITH ACUTE by a hash of their names. None has
    the words of a letter in another split, but its base (LATIN SMALL LETTER
    E) and each of its marks (ACUTE) occur in at least 3 training letters.
    Letters without marks, or with rare ones, are in the training split.

    | split | Latin | Greek | Cyrillic | classes | drawings |
    |---|---|---|---|---|---|
    | train | 598 | 139 | 77 | 814 | 16280 |
    | validation | 43 | 20 | 0 | 63 | 1260 |
    | test | 83 | 20 | 0 | 103 | 2060 |

    Counted with Matplotlib 3.11 and Pillow 13.0; other versions may differ
    by a few. The drawings are made on first use, in a few seconds, and kept
    in the user's cache.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        rotations: Whether each letter turned by 90, 180 and 270 degrees is
            a new class, which gives four times the classes.
        size: Height and width in pixels, at least 8. The classes do not
            depend on it.
        cache_dir: Where the arrays are kept; by default `keras_meta` in
            Keras' own folder.
        protocol: `"scripts"` or `"combinations"`: what the splits are.

    Returns:
        `(examples, labels)`: uint8 `(n, size, size, 1)`, ink 255 on 0,
        and str `(n,)`: `script/letter` with the letter's Unicode name, as
        in `Latin/LATIN SMALL LETTER E WITH ACUTE`, with rotations
        `script/letter/degrees`. The drawings of a letter follow each other.

    Raises:
        ValueError: For an unknown split or protocol, or a size that is not
            an integer of at least 8.
    """
    check_choice("split", split, SPLITS)
    check_choice("protocol", protocol, PROTOCOLS)
    size = check_integer("size", size, LEAST_SIZE)
    arrays = cached_arrays(f"glyphs_{size}_v1", lambda: _build(size), cache_dir)
    if protocol == "combinations":
        examples, labels = _combinations(arrays, split)
    else:
        examples = arrays[f"{split}_examples"]
        labels = arrays[f"{split}_labels"]
    labels = np.repeat(labels, DRAWINGS)
    if rotations:
        return rotations_as_classes(examples, labels)
    return examples, labels


def _build(size):
    """The drawings of all splits and the labels of their classes."""
    charmaps = _charmaps()
    letters = _letters(charmaps)
    letters = _first_of_alike(letters, *_cells(letters, charmaps))
    fonts = [_font(style, 4 * size) for style in STYLES]
    arrays = {}
    for split in SPLITS:
        members = [i for i in letters if _split(i) == split]
        examples = np.stack(
            [_drawings(i, fonts, charmaps, size) for i in members]
        )
        arrays[f"{split}_examples"] = examples.reshape(-1, size, size, 1)
        arrays[f"{split}_labels"] = np.array(
            [f"{_script(i)}/{unicodedata.name(i)}" for i in members]
        )
    return arrays


def _combinations(arrays, split):
    """The letters of one split of the protocol "combinations".

    Args:
        arrays: What `_build` returned, for the protocol "scripts".
        split: Name of the split.

    Returns:
        Pair of the drawings `(letters * DRAWINGS, size, size, 1)` and the
        labels `(letters,)`.
    """
    labels = np.concatenate([arrays[f"{name}_labels"] for name in SPLITS])
    examples = np.concatenate([arrays[f"{name}_examples"] for name in SPLITS])
    splits = _splits_of_combinations(labels.tolist())
    inside = np.array([splits.get(label) == split for label in labels])
    return examples[np.repeat(inside, DRAWINGS)], labels[inside]


def _splits_of_combinations(labels):
    """A dict label -> split; scripts without marked letters are left out."""
    parts = {label: _base_and_marks(label) for label in labels}
    marked = [label for label in labels if len(parts[label]) > 1]
    scripts = {label.split("/")[0] for label in marked}
    splits = {i: "train" for i in labels if i.split("/")[0] in scripts}
    seen = collections.Counter(part for i in splits for part in parts[i])
    # One by one, because taking a letter may make another's part rare. In
    # the order of the hash, so that other fonts hardly change the choice.
    for share, label in sorted((_share(label), label) for label in marked):
        rare = any(seen[part] <= LEAST_SEEN for part in parts[label])
        if share < sum(HELD_OUT.values()) and not rare:
            test = share < HELD_OUT["test"]
            splits[label] = "test" if test else "validation"
            seen.subtract(parts[label])
    return splits


def _base_and_marks(label):
    """The parts of a name: `X WITH Y AND Z` are X, Y and Z."""
    base, _, marks = label.partition(" WITH ")
    return (base, *marks.split(" AND ")) if marks else (base,)


def _share(label):
    """A number in [0, 1), uniform over labels: always the same for one."""
    digest = hashlib.sha256(label.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _font_path(style):
    # Imported here because it costs time, and reads the environment.
    import matplotlib

    folder = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")
    return str(folder / f"{style}.ttf")


def _font(style, height):
    # The basic layout gives the same glyphs with and without Raqm.
    return ImageFont.truetype(
        _font_path(style), height, layout_engine=ImageFont.Layout.BASIC
    )


def _charmaps():
    """For each style, the set of characters that it has a glyph for."""
    from matplotlib.ft2font import FT2Font

    return [
        # Glyph 0 is the box that stands for a missing character.
        {
            chr(code)
            for code, glyph in FT2Font(_font_path(style)).get_charmap().items()
            if glyph
        }
        for style in STYLES
    ]


@functools.cache
def _script(letter):
    """The script that begins the Unicode name, as `Latin`."""
    return unicodedata.name(letter, "?").split()[0].title()


def _split(letter):
    """The name of the split that has the letter's script."""
    script = _script(letter)
    return next(name for name, scripts in SPLITS.items() if script in scripts)


def _letters(charmaps):
    """The letters with enough styles, ordered by split, script and code."""
    rank = [script for scripts in SPLITS.values() for script in scripts]
    letters = [
        letter
        for letter in set().union(*charmaps)
        if unicodedata.category(letter) in CATEGORIES
        and _script(letter) in rank
        and sum(letter in charmap for charmap in charmaps) >= LEAST_STYLES
    ]
    return sorted(letters, key=lambda i: (rank.index(_script(i)), i))


def _ink(letter, font):
    """The letter as a grey picture, cropped to its ink; None if blank."""
    left, top, right, bottom = font.getbbox(letter)
    if right <= left or bottom <= top:
        return None
    # One pixel around, because the box is rounded.
    picture = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(picture).text(
        (1 - left, 1 - top), letter, fill=255, font=font
    )
    box = picture.getbbox()
    return picture.crop(box) if box else None


def _cells(letters, charmaps):
    """Draws all letters small and centred, to be compared.

    Returns:
        `(cells, present)`: bool `(styles, letters, COMPARED, COMPARED)`,
        true where there is ink, and bool `(styles, letters)`.
    """
    cells = np.zeros((len(STYLES), len(letters), COMPARED, COMPARED), bool)
    present = np.zeros((len(STYLES), len(letters)), bool)
    for s, style in enumerate(STYLES):
        font = _font(style, 2 * COMPARED)
        for i, letter in enumerate(letters):
            ink = _ink(letter, font) if letter in charmaps[s] else None
            if ink is None:
                continue
            scale = COMPARED / max(ink.size)
            width, height = (max(1, round(n * scale)) for n in ink.size)
            left, top = (COMPARED - width) // 2, (COMPARED - height) // 2
            ink = ink.resize((width, height), Image.Resampling.BOX)
            # Hairlines fill less than half of a cell.
            cells[s, i, top : top + height, left : left + width] = (
                np.asarray(ink) > 100
            )
            present[s, i] = True
    return cells, present


def _first_of_alike(letters, cells, present):
    """Drops every letter that looks like one that was kept before it.

    Joining the letters in chains instead (union-find) would put O, o with
    diaeresis and delta into one class, each like the next.

    Args:
        letters: List of letters in the order of precedence.
        cells: bool `(styles, letters, COMPARED, COMPARED)`.
        present: bool `(styles, letters)`.

    Returns:
        List of the letters kept: any two of them look different.
    """
    shape = (len(letters), len(letters))
    split = np.array([_split(letter) for letter in letters])
    limit = np.where(split[:, None] == split, STRAY, STRAY_BETWEEN_SPLITS)
    same, shared = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for style_cells, in_style in zip(cells, present, strict=True):
        members = np.flatnonzero(in_style)
        ink = style_cells[members]
        near = _within_reach(ink).reshape(len(members), COMPARED**2)
        ink = ink.reshape(len(members), COMPARED**2)
        # stray[i, j]: the ink of i beyond the reach of the ink of j.
        stray = ink.astype("float32") @ (~near).T.astype("float32")
        pairs = np.ix_(members, members)
        same[pairs] += np.maximum(stray, stray.T) <= limit[pairs]
        shared[pairs] += 1
    alike = (same >= ALIKE * shared) & (shared > 0)
    kept = []
    for i in range(len(letters)):
        # Blank in too many styles: the font claims it, but has no drawing.
        enough = present[:, i].sum() >= LEAST_STYLES
        if enough and not alike[i, kept].any():
            kept.append(i)
    return [letters[i] for i in kept]


def _within_reach(ink):
    """Spreads ink `(n, height, width)` to all cells within REACH of it."""
    height, width = ink.shape[1:]
    padded = np.pad(ink, [(0, 0), (REACH, REACH), (REACH, REACH)])
    near = ink.copy()
    for y in range(-REACH, REACH + 1):
        for x in range(-REACH, REACH + 1):
            # Half a cell more makes the disc round.
            if np.hypot(x, y) <= REACH + 0.5:
                near |= padded[
                    :,
                    REACH + y : REACH + y + height,
                    REACH + x : REACH + x + width,
                ]
    return near


def _drawings(letter, fonts, charmaps, size):
    """The DRAWINGS of one letter: uint8 `(DRAWINGS, size, size)`."""
    styles = [
        _ink(letter, font)
        for font, charmap in zip(fonts, charmaps, strict=True)
        if letter in charmap
    ]
    styles = [ink for ink in styles if ink is not None]
    plain = [_draw(ink, np.eye(2), np.zeros(2), size) for ink in styles]
    # Some styles share the drawing of a rare letter: it counts once.
    unlike = {image.tobytes(): k for k, image in reversed([*enumerate(plain)])}
    styles = [styles[k] for k in sorted(unlike.values())]
    plain = [plain[k] for k in sorted(unlike.values())]
    # Seeded by the letter, so that each is independent of the others.
    rng = np.random.default_rng([SEED, ord(letter)])
    distorted = [
        _draw(styles[k % len(styles)], *_distortion(rng), size)
        for k in range(len(styles), DRAWINGS)
    ]
    return np.stack((plain + distorted)[:DRAWINGS])


def _distortion(rng):
    """A random matrix `(2, 2)`, and a shift `(2,)` as a share of the size."""
    angle = rng.uniform(-ROTATION, ROTATION)
    sine, cosine = np.sin(angle), np.cos(angle)
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    shear = np.array([[1, rng.uniform(-SHEAR, SHEAR)], [0, 1]])
    matrix = rotation @ shear @ np.diag(rng.uniform(*SCALE, 2))
    return matrix, rng.uniform(-SHIFT, SHIFT, 2)


def _draw(ink, matrix, shift, size):
    """Draws ink, scaled to INK_SPAN, under an affine map.

    Args:
        ink: Grey picture, cropped to its ink.
        matrix: `(2, 2)`, in coordinates `(x, y)` from the centre.
        shift: `(2,)`, a share of the size; less where ink would be cut off.
        size: Height and width in pixels.

    Returns:
        uint8 `(size, size)`.
    """
    half = np.array(ink.size) / 2
    # From pixels of the ink to shares of the size.
    matrix = matrix * INK_SPAN / (2 * half.max())
    extent = np.abs(matrix) @ half
    matrix = matrix * min(1, 0.5 / extent.max())
    room = np.maximum(0.5 - np.abs(matrix) @ half, 0)
    shift = np.clip(shift, -room, room)
    # Pillow wants the map from the result back to the ink.
    fine = size * OVERSAMPLING
    inverse = np.linalg.inv(matrix) / fine
    offset = half - inverse @ (fine * (0.5 + shift))
    image = ink.transform(
        (fine, fine),
        Image.Transform.AFFINE,
        np.column_stack([inverse, offset]).ravel().tolist(),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(image.reduce(OVERSAMPLING))

"""Letters of many scripts as classes: which ones, and in which split."""

import collections
import functools
import hashlib
import unicodedata

import numpy as np
from PIL import Image

from keras_meta.checks import check_choice, check_integer
from keras_meta.data.cache import cached_arrays
from keras_meta.data.glyph_drawings import (
    DRAWINGS,
    STYLES,
    letter_drawings,
    letter_ink,
    style_charmaps,
    style_font,
)
from keras_meta.data.rotations import rotations_as_classes
from keras_meta.typing import Path

# The scripts of each split, in order of precedence: of letters that look the
# same, only the first is a class.
SPLITS = {
    "train": ("Latin", "Greek"),
    "validation": ("Georgian",),
    "test": ("Cyrillic", "Armenian", "Lao"),
}
PROTOCOLS = ("scripts", "combinations")
# Smallest height and width, in pixels, at which letters can be told apart.
LEAST_SIZE = 8
# The protocol "combinations": the share of the letters with marks that each
# split draws. A letter is held out only if LEAST_SEEN training letters have
# each of its parts.
HELD_OUT = {"test": 0.2, "validation": 0.12}
LEAST_SEEN = 3
# A class must exist in this many styles.
LEAST_STYLES = 8
# Unicode categories of letters, without the modifier letters Lm: they are
# small copies of other letters, and size is normalised.
CATEGORIES = ("Lu", "Ll", "Lt", "Lo")
# Letters are compared as drawings whose longer side has COMPARED cells, twice
# the pixels of a letter in a 28-pixel picture. The stray ink of a drawing is
# its cells that are more than REACH cells (one such pixel) away from the ink
# of the other. Two drawings look the same if neither has more than STRAY
# cells of stray ink; two letters do if their drawings look the same in at
# least the share ALIKE of the styles that have both.
#
# The numbers were chosen by eye. With them these become one class: C and c; V
# and v (equal without serifs, a little bolder); A, Alpha and Cyrillic A; I
# and l (equal in DejaVu Sans); Greek letters that differ in their breathing;
# A with diaeresis and A with macron. These stay apart: P and p; e with acute
# and e with grave; a with ring and a with diaeresis. ALIKE = 1/3 would keep C
# and c apart; STRAY = 1 would join A with circumflex and A with tilde.
# Between splits more stray ink is allowed, or letters such as Latin reversed
# open e and Cyrillic ze would be in two splits.
COMPARED = 40
REACH = 2
STRAY = 0
STRAY_BETWEEN_SPLITS = 8
ALIKE = 1 / 4


def load_glyphs(
    split: str,
    rotations: bool = False,
    size: int = 28,
    cache_dir: Path | None = None,
    protocol: str = "scripts",
) -> tuple[np.ndarray, np.ndarray]:
    """Loads letters of six scripts in Omniglot's form, without a download.

    A class is a letter (Unicode category L without the modifier letters Lm,
    small copies of other letters) that at least 8 of the 16 styles of DejaVu
    and STIX have. It has 20 drawings, as in Omniglot (Lake et al. 2015): one
    in each of its styles, then more in the same styles under small random
    rotations, shears, scalings and shifts, which are the same at each call.

    A letter's size and place are normalised. Of letters that then look the
    same, such as C and c, or the Latin, Greek and Cyrillic A, only the first
    is a class, in the order of the splits, their scripts and Unicode. So no
    letter of the test split looks like a training letter; turned by 90
    degrees it may.

    With the protocol `"scripts"`, each split has scripts of its own:

    | split | scripts | classes | drawings |
    |---|---|---|---|
    | train | Latin, Greek | 903 | 18060 |
    | validation | Georgian | 103 | 2060 |
    | test | Cyrillic, Armenian, Lao | 157 | 3140 |

    The protocol `"combinations"` is for zero-shot learning (see
    `describe_glyphs`). It has the scripts with marked letters, and holds out
    letters such as E WITH ACUTE, chosen by a hash of their names. No two
    letters have the same words, but the base of a held-out letter (LATIN
    SMALL LETTER E) and each of its marks (ACUTE) occur in at least 3 training
    letters. Letters without marks, or with rare ones, are in the training
    split.

    | split | Latin | Greek | Cyrillic | classes | drawings |
    |---|---|---|---|---|---|
    | train | 598 | 139 | 77 | 814 | 16280 |
    | validation | 43 | 20 | 0 | 63 | 1260 |
    | test | 83 | 20 | 0 | 103 | 2060 |

    These are the counts with Matplotlib 3.11 and Pillow 13.0; other versions
    may differ by a few. The drawings are made on first use, in a few seconds,
    and kept in the user's cache.

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
    """Dict of the drawings of each split and the labels of its classes."""
    charmaps = style_charmaps()
    letters = _letters(charmaps)
    letters = _first_of_alike(letters, *_cells(letters, charmaps))
    fonts = [style_font(style, 4 * size) for style in STYLES]
    arrays = {}
    for split in SPLITS:
        members = [i for i in letters if _split(i) == split]
        examples = np.stack(
            [letter_drawings(i, fonts, charmaps, size) for i in members]
        )
        arrays[f"{split}_examples"] = examples.reshape(-1, size, size, 1)
        arrays[f"{split}_labels"] = np.array(
            [f"{_script(i)}/{unicodedata.name(i)}" for i in members]
        )
    return arrays


def _combinations(arrays, split):
    """The letters of one split of the protocol "combinations".

    Args:
        arrays: What `_build` returns, the splits of "scripts".
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
    """Dict label -> split; scripts without marked letters are left out."""
    parts = {label: _base_and_marks(label) for label in labels}
    marked = [label for label in labels if len(parts[label]) > 1]
    scripts = {label.split("/")[0] for label in marked}
    splits = {i: "train" for i in labels if i.split("/")[0] in scripts}
    seen = collections.Counter(part for i in splits for part in parts[i])
    # One by one, because holding out a letter may make another's part rare.
    # In the order of the hash, so that a letter more or less in the fonts
    # hardly changes the choice.
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


@functools.cache
def _script(letter):
    """The first word of the Unicode name, such as `Latin`."""
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


def _cells(letters, charmaps):
    """Draws all letters at one size, centred, for their comparison.

    Returns:
        `(cells, present)`: bool `(styles, letters, COMPARED, COMPARED)`,
        true where there is ink, and bool `(styles, letters)`.
    """
    cells = np.zeros((len(STYLES), len(letters), COMPARED, COMPARED), bool)
    present = np.zeros((len(STYLES), len(letters)), bool)
    for s, style in enumerate(STYLES):
        font = style_font(style, 2 * COMPARED)
        for i, letter in enumerate(letters):
            ink = letter_ink(letter, font) if letter in charmaps[s] else None
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
    """Drops each letter that looks like one kept before it.

    Letters are compared with kept ones only: chains of letters that look
    alike (union-find) would put O, o with diaeresis and delta into one class.

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
        # A font may list a letter and have no drawing of it.
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

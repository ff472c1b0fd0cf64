"""Tests of the descriptions of letters."""

import unicodedata

import numpy as np
import pytest

from keras_meta.data.glyph_descriptions import describe_glyphs, glyph_words
from keras_meta.data.glyphs import SPLITS, load_glyphs

LATIN = "Latin/LATIN "


def said(label):
    """The words of a description."""
    words = np.array(glyph_words())
    return set(words[describe_glyphs([label])[label] > 0].tolist())


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """The labels of each split of the protocol "combinations"."""
    cache_dir = tmp_path_factory.mktemp("glyphs")
    return {
        split: load_glyphs(
            split, size=8, cache_dir=cache_dir, protocol="combinations"
        )[1]
        for split in SPLITS
    }


def test_the_vocabulary_is_sorted_without_repetition():
    words = glyph_words()
    assert words == sorted(set(words))
    assert len(words) == 253
    assert not {"LETTER", "WITH", "AND", "000"} & set(words)


def test_the_vocabulary_is_that_of_the_training_letters(labels):
    """But for the versions of the libraries."""
    described = describe_glyphs(labels["train"])
    used = np.sum(list(described.values()), axis=0) > 0
    assert used.mean() > 0.95
    assert not used[:3].any()


def test_all_letters_have_different_descriptions(labels):
    every = np.concatenate(list(labels.values()))
    described = describe_glyphs(every)
    assert set(described) == set(every)
    vectors = np.stack(list(described.values()))
    assert vectors.dtype == np.float32
    assert set(np.unique(vectors)) == {0, 1}
    assert len(np.unique(vectors, axis=0)) == len(described)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SMALL LETTER E WITH ACUTE", "SMALL E ACUTE"),
        ("SMALL LETTER OPEN E", "SMALL OPEN E"),
        ("LETTER SMALL CAPITAL G", "SMALL CAPITAL G"),
        ("SMALL LETTER TURNED R WITH HOOK", "SMALL TURNED R HOOK"),
        (
            "CAPITAL LETTER S WITH DOT BELOW AND DOT ABOVE",
            "CAPITAL S DOT BELOW ABOVE",
        ),
    ],
)
def test_a_description_says_the_words_of_the_name(name, words):
    unicodedata.lookup(f"LATIN {name}")
    assert said(LATIN + name) == {"LATIN", *words.split()}


def test_degrees_of_turned_letters_are_words():
    label = LATIN + "CAPITAL LETTER B"
    upright = said(label)
    assert said(f"{label}/000") == upright
    for degrees in ("090", "180", "270"):
        assert said(f"{label}/{degrees}") == {*upright, degrees}


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("Lao/LAO LETTER KO", "Lao/LAO LETTER KO' with the word 'LAO'"),
        (LATIN + "SMALL LETTER A/045", "A/045' with the word '045'"),
        ("LATIN SMALL LETTER A", "form script/letter.*LETTER A'"),
        (LATIN + "SMALL LETTER A/090/180", "form script/letter.*090/180'"),
    ],
)
def test_errors_name_the_label(label, message):
    with pytest.raises(ValueError, match=message):
        describe_glyphs([LATIN + "SMALL LETTER A", label])

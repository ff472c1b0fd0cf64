"""Descriptions of letters by the words of their Unicode names."""

from collections.abc import Iterable

import numpy as np

# Words that do not describe a letter.
FUNCTION_WORDS = ("LETTER", "WITH", "AND")
# The words of the 814 training letters of the protocol "combinations". They
# are listed here, not collected from the fonts, so that each word has the same
# place on every machine, whatever its fonts and its Unicode version.
WORDS = """
    A AA ABOVE ACCENT ACUTE AE AIN ALEF ALPHA ALVEOLAR AO APOSTROPHE ARCHAIC
    AU AV AY B BACK BAR BARRED BASHKIR BELOW BELT BETA BIDENTAL BIG BILABIAL
    BOTTOM BREVE BROKEN BY C CAPITAL CARON CEDILLA CHE CHI CIRCUMFLEX CLICK
    CLOSED COMMA CROSSED-TAIL CURL CYRILLIC D DASIA DB DE DELTA DESCENDER
    DEZH DIAERESIS DIAERESIZED DIAGONAL DIALYTIKA DIGAMMA DIGRAPH DJE DOT
    DOTLESS DOTTED DOUBLE DZ DZHE E EF EGYPTOLOGICAL EL EN ENG EPIGRAPHIC
    EPSILON ESH ETA ETH EZH F FENG FF FFI FI FINAL FISHHOOK FIVE FL
    FRICATIVE G GAMMA GHE GJE GLOTTAL GRAVE GREEK H HA HALF HARD HENG HIGH
    HOOK HORIZONTAL HORN HV HWAIR I IJ INSIDE INSULAR INVERTED IOTA IOTIFIED
    IZHITSA J K KA KAI KAPPA KHAKASSIAN KJE KOPPA L LAMBDA LAMDA LATERAL
    LATIN LEFT LEG LEZH LHA LIGATURE LINE LJ LJE LL LONG LOOP LOW LS LUNATE
    LZ M MACRON MIDDLE MIDDLE-WELSH MU N NJ NJE NU O OE OGONEK OI OMEGA
    OMICRON OO OPEN OU OVERLAY OXIA P PALATAL PE PERCUSSIVE PERISPOMENI
    PHARYNGEAL PHI PI PRECEDED PROSGEGRAMMENI PSI PSILI Q QP R RAMS
    RETROFLEX REVERSED RHO RIGHT RING S SALTILLO SAMPI SAN SCHWA SEMISOFT
    SHARP SHCHA SHHA SHORT SIDEWAYS SIGMA SIGN SIX SMALL SOFT SQUAT ST
    STIGMA STOP STRAIGHT STRETCHED STROKE SWASH SYMBOL T TAIL TAILLESS TAU
    TC TE TESH THETA THORN TILDE TONE TONOS TOP TOPBAR TS TSE TSHE TURNED
    TWO TZ U UPSILON UPTURN V VARIA VOICED VRACHY W WYNN X XI Y YAT YER YERU
    YOGH YPOGEGRAMMENI YR YU YUS Z ZE ZETA ZHE
""".split()
# The angles that `rotations_as_classes` adds; upright letters have no word.
TURNS = ("090", "180", "270")


def glyph_words() -> list[str]:
    """The 253 words that describe the letters of `load_glyphs`.

    They are the angles 090, 180 and 270 of turned letters, and the 250 words
    in the names of the training letters of the protocol `"combinations"`
    without LETTER, WITH and AND: scripts (GREEK), cases (SMALL), letters
    (OMEGA), marks (ACUTE) and more (TURNED, LIGATURE).

    Returns:
        List of str, sorted: the meaning of each attribute.
    """
    return [*TURNS, *WORDS]


def describe_glyphs(labels: Iterable[str]) -> dict[str, np.ndarray]:
    """Describes letters by the words of their names, for zero-shot learning.

    A description has a 1 for each word of the letter's Unicode name and a 0
    for all others. Neither the order of the words nor their number counts:
    OPEN E has OPEN and E, a SMALL CAPITAL has SMALL and CAPITAL, D WITH
    CIRCUMFLEX BELOW has CIRCUMFLEX and BELOW. All 980 letters of the protocol
    `"combinations"` have different descriptions.

    Args:
        labels: Array or sequence of str, as of `load_glyphs`:
            `script/letter` or `script/letter/degrees`. They may repeat.

    Returns:
        Dict with a float32 array `(253,)` of 0 and 1, in the order of
        `glyph_words()`, for each different label.

    Raises:
        ValueError: If a label has another form, or has a word that is not in
            the vocabulary, as have Georgian letters.

    Example:

    >>> label = "Latin/LATIN SMALL LETTER E WITH ACUTE"
    >>> vector = describe_glyphs([label])[label]
    >>> [glyph_words()[i] for i in np.flatnonzero(vector)]
    ['ACUTE', 'E', 'LATIN', 'SMALL']
    """
    places = {word: place for place, word in enumerate(glyph_words())}
    descriptions = {}
    for label in dict.fromkeys(map(str, labels)):
        vector = np.zeros(len(places), "float32")
        for word in _words(label):
            if word not in places:
                raise ValueError(
                    "`labels` must name letters by words of `glyph_words()`. "
                    f"Received: '{label}' with the word '{word}'"
                )
            vector[places[word]] = 1
        descriptions[label] = vector
    return descriptions


def _words(label):
    """The words of a label that describe the letter."""
    parts = label.split("/")
    if len(parts) not in (2, 3):
        raise ValueError(
            "`labels` must have the form script/letter or "
            f"script/letter/degrees. Received: '{label}'"
        )
    # The script, `parts[0]`, is the first word of the name too.
    words = [word for word in parts[1].split() if word not in FUNCTION_WORDS]
    return words + [turn for turn in parts[2:] if turn != "000"]

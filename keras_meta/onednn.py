"""Intel's oneDNN, the library of fast operations on x86 processors."""

import os
import sys

SWITCH = "TF_ENABLE_ONEDNN_OPTS"


def prefer_onednn():
    """Switches oneDNN on, unless the environment says what is wanted.

    By itself TensorFlow uses oneDNN only on processors with instructions for
    neural networks, such as AVX-512 VNNI. On others, with AVX2, its own
    convolutions are much slower. TensorFlow reads the switch once, when
    it is loaded; Keras loads it. `import keras_meta` therefore calls this
    first, which has an effect if neither of them was imported before.

    Returns:
        Whether it came in time.
    """
    if "tensorflow" in sys.modules:
        return False
    os.environ.setdefault(SWITCH, "1")
    return True

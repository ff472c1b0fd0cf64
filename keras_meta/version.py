"""The version of the distribution: `setup.py` and `keras-meta` read it here.

This file imports nothing, so they can run it without TensorFlow.
"""

__version__ = "0.1.0"

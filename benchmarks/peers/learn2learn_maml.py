"""Peer of `MAML`: learn2learn's class, from a checkout of its source."""

import importlib
import os
import pathlib
import sys
import types

from benchmarks.hyperparameters import INNER_LEARNING_RATE
from benchmarks.peers.torch_outer_step import torch_labels

# The environment variable that names the folder of the checkout.
LEARN2LEARN = "LEARN2LEARN"
LEARN2LEARN_ADVICE = (
    "learn2learn is left out. Its wheel does not build on Python 3.11, but "
    "its MAML is pure Python: git clone "
    "https://github.com/learnables/learn2learn, and set the environment "
    f"variable {LEARN2LEARN} to the folder."
)


def learn2learn_folder():
    """The package in the checkout of learn2learn, or None.

    Raises:
        SystemExit: If the environment variable names another folder.
    """
    folder = os.environ.get(LEARN2LEARN)
    if not folder:
        return None
    package = pathlib.Path(folder) / "learn2learn"
    if not (package / "algorithms" / "maml.py").exists():
        raise SystemExit(
            f"The environment variable {LEARN2LEARN} must name a checkout of "
            "learn2learn's source, with learn2learn/algorithms/maml.py in it. "
            f"Received: {LEARN2LEARN}={folder}"
        )
    return package


def learn2learn_maml():
    """learn2learn's class `MAML`.

    Two empty packages stand in for `learn2learn` and its `algorithms`, whose
    `__init__.py` would import compiled modules and environments of
    reinforcement learning.
    """
    package = learn2learn_folder()
    for name, path in (
        ("learn2learn", package),
        ("learn2learn.algorithms", package / "algorithms"),
    ):
        if name not in sys.modules:
            module = types.ModuleType(name)
            module.__path__ = [str(path)]
            sys.modules[name] = module
    return importlib.import_module("learn2learn.algorithms.maml").MAML


def learn2learn_loop(case, network):
    """The meta-gradient as learn2learn's examples write it."""
    from torch.nn.functional import cross_entropy

    learner = learn2learn_maml()(
        network, lr=INNER_LEARNING_RATE, first_order=case.first_order
    )
    support_y, query_y = torch_labels(case)

    def meta_gradient(support, query):
        total = 0
        for support_x, query_x in zip(support, query, strict=True):
            clone = learner.clone()
            for _ in range(case.inner_steps):
                clone.adapt(cross_entropy(clone(support_x), support_y))
            loss = cross_entropy(clone(query_x), query_y)
            (loss / len(support)).backward()
            total = total + loss.detach()
        return total / len(support)

    return meta_gradient

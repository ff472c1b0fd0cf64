"""Tests of what the embedding of a Meta Network is asked of its support."""

import numpy as np
import pytest
from quadratic_tasks import close

from keras_meta.layers import EmbeddingLoss

RNG = np.random.default_rng(0)
# Classes of a support of three shots, in some order.
CLASSES = np.array([0, 1, 1, 0, 2, 2, 0, 1, 2])
SUPPORT_Y = np.eye(3)[CLASSES]


def built(loss, steps=5, way=3):
    layer = EmbeddingLoss(loss, steps)
    layer.build((None, 4), (None, way))
    return layer


def numbers(layer, support_y):
    """The chunk of each example, -1 for none, and how many there are."""
    chunks, steps = layer.split(np.array(support_y))
    chunks = np.array(chunks)
    assert set(chunks.sum(axis=1)) <= {0, 1}
    in_any = chunks.sum(axis=1) > 0
    return np.where(in_any, chunks.argmax(axis=1), -1).tolist(), int(steps)


@pytest.mark.parametrize(
    "loss, steps, examples, expected",
    [
        ("cross_entropy", 5, 3, [0, 1, 2]),
        ("cross_entropy", 5, 7, [0, 0, 1, 2, 2, 3, 4]),
        ("cross_entropy", 2, 4, [0, 0, 1, 1]),
        ("verification", 5, 7, [0, 0, 0, 1, 1, 2, 2]),
        ("contrastive", 5, 2, [0, 0]),
        ("verification", 5, 1, [0]),
    ],
)
def test_chunks_are_in_the_order_of_the_support(
    loss, steps, examples, expected, float64
):
    support_y = np.eye(3)[np.arange(examples) % 3]
    found = numbers(built(loss, steps), support_y)
    assert found == (expected, max(expected) + 1)


def test_auto_has_pairs_from_two_shots_on(float64):
    layer = built("auto")
    assert numbers(layer, np.eye(3)) == ([0, 1, 2], 3)
    assert numbers(layer, np.eye(3)[[0, 1, 1, 2]]) == ([0, 0, 1, 1], 2)


def test_padding_is_in_no_chunk(float64):
    padded = np.eye(3)[[0, 0, 1, 1, 2, 0]]
    padded[[1, 3]] = 0
    found = numbers(built("cross_entropy", 2), padded)
    assert found == ([0, -1, 0, -1, 1, 1], 2)


def pair_losses(layer, loss, embeddings, chunk):
    """The loss of each pair of a chunk, one at a time."""
    members = np.flatnonzero(chunk)
    for a in members:
        for b in members[members > a]:
            same = CLASSES[a] == CLASSES[b]
            difference = embeddings[a] - embeddings[b]
            if loss == "contrastive":
                d = np.linalg.norm(difference)
                yield d**2 if same else max(0, 1 - d) ** 2
            else:
                kernel = np.array(layer.verification.kernel)[:, 0]
                logit = np.abs(difference) @ kernel + layer.verification.bias
                yield np.log1p(np.exp(-logit if same else logit))


def class_losses(layer, embeddings, chunk):
    """The cross-entropy of each example of a chunk."""
    for n in np.flatnonzero(chunk):
        logits = np.maximum(embeddings[n], 0) @ np.array(layer.classifier)
        yield np.log(np.exp(logits).sum()) - logits[CLASSES[n]]


@pytest.mark.parametrize(
    "loss", ["cross_entropy", "verification", "contrastive"]
)
def test_losses_are_means_over_chunks_added_up(loss, float64):
    layer = built(loss, steps=2)
    embeddings = RNG.normal(size=(9, 4)) / 3
    chunks, _ = layer.split(SUPPORT_Y)
    if loss == "cross_entropy":
        expected = [
            np.mean(list(class_losses(layer, embeddings, chunk)))
            for chunk in np.array(chunks).T
        ]
    else:
        expected = [
            np.mean(list(pair_losses(layer, loss, embeddings, chunk)))
            for chunk in np.array(chunks).T
        ]
    close(layer(embeddings, SUPPORT_Y, chunks), np.sum(expected))


def test_auto_is_one_of_two_losses(float64):
    layer = built("auto", steps=2)
    embeddings = RNG.normal(size=(9, 4))
    for rows, loss in (
        (slice(9), "verification"),
        ([0, 1, 4], "cross_entropy"),
    ):
        other = built(loss, steps=2)
        if loss == "verification":
            other.verification.set_weights(layer.verification.get_weights())
        else:
            other.classifier.assign(layer.classifier)
        chunks, _ = layer.split(SUPPORT_Y[rows])
        arguments = embeddings[rows], SUPPORT_Y[rows], chunks
        close(layer(*arguments), other(*arguments))


def test_what_is_learned_is_the_verification():
    assert len(built("auto").trainable_variables) == 2
    assert len(built("verification").trainable_variables) == 2
    assert not built("cross_entropy").trainable_variables
    assert not built("contrastive").variables


def test_arguments_are_checked_and_saved():
    layer = EmbeddingLoss("contrastive", 7)
    copy = EmbeddingLoss.from_config(layer.get_config())
    assert (copy.loss, copy.steps) == ("contrastive", 7)
    with pytest.raises(ValueError, match="`embedding_loss` must be one of"):
        EmbeddingLoss("triplet")
    with pytest.raises(ValueError, match="`embedding_steps` must be"):
        EmbeddingLoss(steps=0)

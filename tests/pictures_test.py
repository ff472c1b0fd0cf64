"""Pictures depend on what a model's contract offers, not on its class."""

import keras
import numpy as np

from keras_meta import distances, ops
from keras_meta.models import EpisodicModel, MetaLSTM
from zoo import pictures, streams


class NearestMean(EpisodicModel):
    """Nearest class mean of the pixels; its task is a tensor."""

    def adapt(self, support_x, support_y, training=False):
        return ops.class_means(self.embed(support_x), support_y)

    def infer(self, task, query_x, training=False):
        return -distances.pairwise(
            distances.squared_euclidean, self.embed(query_x), task
        )

    def embed(self, examples, training=False):
        return np.reshape(examples, (*np.shape(examples)[:2], -1))


class MeanValue(EpisodicModel):
    """Regression by the mean of the support, without inner steps."""

    def adapt(self, support_x, support_y, training=False):
        return np.mean(support_y, axis=1, keepdims=True)

    def infer(self, task, query_x, training=False):
        return task + 0 * query_x


def test_a_task_may_be_a_tensor(tmp_path):
    stream = streams.Episodes("glyphs", way=3, shot=1, rotations=False)
    episodes = stream.elements(seed=0).batch(1)
    paths = pictures.draw(NearestMean(), episodes, tmp_path)
    assert [path.stem for path in paths] == ["episode", "embeddings"]


def test_the_gates_of_a_learned_optimizer_are_drawn(tmp_path):
    stream = streams.Episodes("glyphs", way=2, shot=1, rotations=False)
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
    episodes = stream.elements(seed=0).batch(1)
    paths = pictures.draw(MetaLSTM(network, inner_steps=2), episodes, tmp_path)
    assert [path.stem for path in paths] == ["episode", "gates"]


def test_a_model_without_inner_steps_has_no_curves_to_draw(tmp_path):
    stream = streams.Sinusoids(shot=5)
    tasks = stream.elements(seed=0).batch(1)
    model = MeanValue()
    paths = pictures.draw(model, tasks, tmp_path, curves=stream.curves())
    assert paths == []

"""Nearest centroids of centred features (Wang et al., 2019)."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_meta.arrays import is_source, source_array
from keras_meta.checks import check_positive
from keras_meta.models.prototypical_network import PrototypicalNetwork
from keras_meta.ops import at_least_float32, unit_vectors
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor, TensorLike

# Examples embedded at once by `centre`.
CHUNK = 256


@register
class NearestCentroid(PrototypicalNetwork):
    """Compares centred and normalized embeddings with their class means.

    With `m` the mean embedding of the classes that the encoder was trained
    on (Wang, Chao, Weinberger and van der Maaten 2019, "SimpleShot:
    Revisiting Nearest-Neighbor Classification for Few-Shot Learning",
    section 3):

        z = encoder(x) - m,  z <- z / |z|
        c_k = mean(z_i : y_i = k)
        p(y = k | x) = softmax_k(-scale * |z - c_k|^2)

    It needs no episodes: any encoder serves, such as one trained to
    classify, once `centre` was given examples of its training classes. `fit`
    on episodes trains it further.

    The task is that of a `PrototypicalNetwork`.

    Args:
        encoder: Keras model or layer, examples `(batch, ...)` to embeddings
            `(batch, dim)`.
        scale: Positive: how sure predictions are, not which; distances are
            at most 4. The paper predicts the nearest, so has none.
        **kwargs: `statistics`, `preprocessing`, `name`: see
            `EpisodicModel`.

    Raises:
        ValueError: For an encoder whose output is not a vector for each
            example, or a scale that is not positive.

    Example:

    >>> model = NearestCentroid(keras_meta.encoders.conv4(filters=8))
    >>> model.centre(np.random.rand(20, 28, 28, 1).astype("float32"))
    >>> support_x = np.random.rand(1, 3, 28, 28, 1).astype("float32")
    >>> task = model.adapt(support_x, np.eye(3, dtype="float32")[None])
    >>> tuple(task["prototypes"].shape)
    (1, 3, 8)
    """

    def __init__(
        self, encoder: keras.Layer, scale: float = 10.0, **kwargs: Any
    ) -> None:
        super().__init__(encoder, **kwargs)
        self.scale = check_positive("scale", scale)
        self.mean = None

    def build(self, input_shape: dict[str, Shape]) -> None:
        super().build(input_shape)
        examples = keras.KerasTensor((None, *input_shape["query_x"][2:]))
        dim = self.encoder(examples).shape[-1]
        self.mean = self.add_weight(
            (dim,), name="mean", initializer="zeros", trainable=False
        )

    def transform(self, embeddings: TensorLike) -> Tensor:
        embeddings = at_least_float32(embeddings)
        if self.mean is not None:
            embeddings = embeddings - ops.cast(self.mean, embeddings.dtype)
        # Squared distances are then multiplied by the scale.
        return unit_vectors(embeddings) * self.scale**0.5

    def centre(self, examples: TensorLike) -> None:
        """Sets `m` to the mean embedding of examples.

        Args:
            examples: Array `(n, ...)`, or image source, of the classes that
                the encoder was trained on, in the form that it takes.

        Raises:
            ValueError: If there are no examples.
        """
        total, sums = len(examples), 0.0
        if not total:
            raise ValueError("`examples` must hold at least one example.")
        for start in range(0, total, CHUNK):
            rows = np.arange(start, min(start + CHUNK, total))
            part = (
                source_array(examples, rows)
                if is_source(examples)
                else np.asarray(examples[start : start + CHUNK])
            )
            if not self.built:
                shape = (None, None, *part.shape[1:])
                way = {"support_y": (None, None, None)}
                self.build({"support_x": shape, "query_x": shape, **way})
            found = self.encoder(part, training=False)
            sums += np.sum(ops.convert_to_numpy(found), 0, dtype="float64")
        self.mean.assign(sums / total)

    def get_config(self) -> Config:
        config = super().get_config()
        # Squared Euclidean distance is what the method is defined for.
        del config["distance"]
        return {**config, "scale": self.scale}

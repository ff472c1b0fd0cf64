"""Full context embeddings of Matching Networks (Vinyals et al. 2016)."""

from typing import Any

import keras
from keras import ops

from keras_meta.checks import check_integer
from keras_meta.layers.forget_gate import open_forget_gate
from keras_meta.ops import ABSENT_LOGIT
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Tensor

# A support of so many examples, if their number is known while the graph is
# made, is read without a loop in the graph, whose steps cost more than what
# they compute. It bounds the size of the graph.
UNROLLED_STEPS = 32


@register
class SupportContext(keras.layers.Layer):
    """Embeds each support example in the context of all others.

    A bidirectional LSTM reads the support set `g'_1 ... g'_n` in its order,
    and the states of both directions are added to the embedding (Vinyals et
    al. 2016, appendix A.2):

        h_i = LSTM(g'_1 ... g'_i),   b_i = LSTM(g'_n ... g'_i),
        G_i = h_i + b_i + g'_i

    Padding is skipped by both directions.
    """

    def build(self, embeddings_shape: Shape) -> None:
        dim = embeddings_shape[-1]
        # cuDNN's LSTM has no gradient of its gradient.
        options = dict(
            return_sequences=True, use_cudnn=False, dtype=self.dtype_policy
        )
        self.forward = keras.layers.LSTM(dim, name="forward", **options)
        self.backward = keras.layers.LSTM(
            dim, name="backward", go_backwards=True, **options
        )
        self.forward.build(embeddings_shape)
        self.backward.build(embeddings_shape)

    def call(self, embeddings: Tensor, filled: Tensor | None = None) -> Tensor:
        """Adds their context to embeddings.

        Args:
            embeddings: `(tasks, support, dim)`.
            filled: Optional bool `(tasks, support)`, false for padding.

        Returns:
            Tensor of the shape of `embeddings`.
        """
        length = embeddings.shape[1]
        unrolled = length is not None and length <= UNROLLED_STEPS
        self.forward.unroll = self.backward.unroll = unrolled
        forward = self.forward(embeddings, mask=filled)
        backward = self.backward(embeddings, mask=filled)
        # Its states are in reading order, from the last example to the first.
        return forward + ops.flip(backward, axis=1) + embeddings


@register
class QueryContext(keras.layers.Layer):
    """Embeds each query in the context of the support set.

    An LSTM that sees the embedding `f'` of the query at every step and reads
    the support `G` by attention (Vinyals et al. 2016, equations 3 to 6; the
    kernel is a dot product):

        a_k = softmax_i(h_{k-1} . G_i),   r_k = sum_i a_{k,i} G_i
        h^_k, c_k = LSTM(f', [h_{k-1}, r_k], c_{k-1}),   h_k = h^_k + f'

    with `h_0 = c_0 = 0`, so the first read is the mean of the support, and
    returns `h_K`. The gates of the LSTM are in Keras' order.

    Args:
        read_steps: The number of steps `K`, at least 1. The paper does not
            say how many; 3 is that of Ravi and Larochelle's code.

    Raises:
        ValueError: If `read_steps` is not a positive integer.
    """

    def __init__(self, read_steps: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.read_steps = check_integer("read_steps", read_steps, 1)

    def build(self, queries_shape: Shape, support_shape: Shape) -> None:
        dim = queries_shape[-1]
        self.kernel = self.add_weight(
            shape=(dim, 4 * dim), name="kernel", initializer="glorot_uniform"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(2 * dim, 4 * dim),
            name="recurrent_kernel",
            initializer="orthogonal",
        )
        self.bias = self.add_weight(
            shape=(4 * dim,), name="bias", initializer=open_forget_gate
        )

    def call(
        self, queries: Tensor, support: Tensor, filled: Tensor | None = None
    ) -> Tensor:
        """Adds their context to queries.

        Args:
            queries: Embeddings `(tasks, query, dim)`.
            support: Embeddings `(tasks, support, dim)`, in context.
            filled: Optional bool `(tasks, support)`, false for padding.

        Returns:
            Tensor of the shape of `queries`.
        """
        return self.read(queries, support, filled)[0]

    def read(
        self, queries: Tensor, support: Tensor, filled: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns what `call` does, and the attention of every step.

        Args:
            queries, support, filled: As for `call`.

        Returns:
            Tensors `(tasks, query, dim)` and `(read_steps, tasks, query,
            support)`; the rows of the second sum to 1.
        """
        seen = ops.matmul(queries, self.kernel) + self.bias
        hidden = cell = ops.zeros_like(queries)
        attentions = []
        for _ in range(self.read_steps):
            scores = ops.matmul(hidden, ops.swapaxes(support, 1, 2))
            if filled is not None:
                absent = ops.cast(ABSENT_LOGIT, scores.dtype)
                scores = ops.where(filled[:, None], scores, absent)
            attentions.append(ops.softmax(scores, axis=-1))
            read = ops.matmul(attentions[-1], support)
            state = ops.concatenate([hidden, read], axis=-1)
            gates = seen + ops.matmul(state, self.recurrent_kernel)
            enter, forget, candidate, leave = ops.split(gates, 4, axis=-1)
            cell = ops.sigmoid(forget) * cell + ops.sigmoid(enter) * ops.tanh(
                candidate
            )
            hidden = ops.sigmoid(leave) * ops.tanh(cell) + queries
        return hidden, ops.stack(attentions)

    def compute_output_shape(
        self, queries_shape: Shape, support_shape: Shape
    ) -> Shape:
        return queries_shape

    def get_config(self) -> Config:
        return {**super().get_config(), "read_steps": self.read_steps}

"""Layers that add fast weights to their slow ones (layer augmentation).

Slow weights are learned over tasks; fast weights are made for one task, by
Meta Networks from the gradients of the slow ones. To augment an architecture
of your own, use `AugmentedConv2D` and `AugmentedDense` for the layers that
shall take fast weights, give them their activation, and pool after them:

    keras.Sequential([
        AugmentedConv2D(64, 3),
        keras.layers.MaxPooling2D(padding="same"),
        keras.layers.Flatten(),
        AugmentedDense(5, activation=None),
    ])

Alone they are a convolution and a dense layer without bias. Inside `with
FastWeights(...)` a hidden layer returns `relu(layer(x; slow)) + relu(layer(x;
fast))`, and the last one, without activation, the sum of both logits: that
is not the ReLU of the summed weights. Max-pool does not commute with this sum
as it does with one ReLU, so it comes last.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_meta.checks import check_integer
from keras_meta.layers.kernel_loop import convolve_each
from keras_meta.ops import at_least_float32
from keras_meta.serialization import register
from keras_meta.typing import Config, Shape, Size, Tensor

_context = threading.local()


class FastWeights:
    """The fast weights that augmented layers use inside `with`.

    Args:
        layers: List of `AugmentedConv2D` and `AugmentedDense`.
        kernels: List of their fast kernels, each of the shape of the layer's
            `kernel`; with `attention` `(rows, *kernel.shape)`.
        attention: Optional `(batch, rows)`: example `n` then has the fast
            kernel `sum_i attention[n, i] kernels[i]`.

    >>> layer = AugmentedDense(1, activation="relu")
    >>> x = np.array([[1.0]], "float32")
    >>> layer.build((None, 1))
    >>> layer.set_weights([np.array([[-2.0]])])
    >>> with FastWeights([layer], [np.array([[3.0]], "float32")]):
    ...     float(layer(x)[0, 0])
    3.0
    """

    def __init__(
        self,
        layers: Sequence[keras.Layer],
        kernels: Sequence[Tensor],
        attention: Tensor | None = None,
    ) -> None:
        self._kernels = {
            id(layer): kernel
            for layer, kernel in zip(layers, kernels, strict=True)
        }
        self._attention = attention

    def outputs(
        self, layer: keras.Layer, inputs: Tensor, slow: Tensor
    ) -> Tensor:
        """What `layer` returns, from its slow outputs before activation."""
        kernel = self._kernels.get(id(layer))
        outputs = layer.activation(slow)
        if kernel is None:
            return outputs
        kernel = ops.cast(kernel, inputs.dtype)
        if self._attention is None:
            fast = layer.connect(inputs, kernel)
        else:
            attention = ops.cast(self._attention, inputs.dtype)
            fast = layer.connect_each(inputs, kernel, attention)
        return outputs + layer.activation(fast)

    def __enter__(self):
        self._outer = getattr(_context, "scope", None)
        _context.scope = self
        return self

    def __exit__(self, *_):
        _context.scope = self._outer


class WatchedLayers(FastWeights):
    """Remembers what went through augmented layers inside `with`.

    From that and from gradients of their outputs come the gradients of the
    kernels for each example, without a pass for each.

    Args:
        watch: Function that is called with the outputs of a layer before its
            activation, such as `tf.GradientTape.watch`.
    """

    def __init__(self, watch: Callable[[Tensor], None]) -> None:
        super().__init__([], [])
        self._watch = watch
        self.layers, self._inputs, self.connected = [], [], []

    def outputs(
        self, layer: keras.Layer, inputs: Tensor, slow: Tensor
    ) -> Tensor:
        self._watch(slow)
        self.layers.append(layer)
        self._inputs.append(inputs)
        self.connected.append(slow)
        return layer.activation(slow)

    def kernel_gradients(
        self, layers: Sequence[keras.Layer], gradients: Sequence[Tensor]
    ) -> list[Tensor]:
        """Gradients of kernels for each example.

        Args:
            layers: Augmented layers.
            gradients: List of the gradients of `connected`.

        Returns:
            List of tensors `(batch, *kernel.shape)`, float32 at least.
        """
        sums = {}
        # A layer that is called twice has the sum of two gradients.
        for layer, inputs, gradient in zip(
            self.layers, self._inputs, gradients, strict=True
        ):
            found = layer.kernel_gradients(
                at_least_float32(inputs), at_least_float32(gradient)
            )
            sums[id(layer)] = sums.get(id(layer), 0) + found
        return [sums[id(layer)] for layer in layers]


class AugmentedLayer(keras.layers.Layer):
    """What the two augmented layers share: a kernel and an activation.

    Args:
        activation: Name or function, element by element; None for the layer
            that returns logits or embeddings.
        kernel_initializer: Of the slow kernel.
        kernel_regularizer: Of the slow kernel.
    """

    def __init__(
        self,
        activation: Any = "relu",
        kernel_initializer: Any = "lecun_normal",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def add_kernel(self, shape: Shape) -> None:
        """Makes the slow kernel."""
        self.kernel = self.add_weight(
            shape=shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            name="kernel",
        )

    def call(self, inputs: Tensor) -> Tensor:
        slow = self.connect(inputs, ops.convert_to_tensor(self.kernel))
        scope = getattr(_context, "scope", None)
        if scope is None:
            return self.activation(slow)
        return scope.outputs(self, inputs, slow)

    def connect(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """The layer with a given kernel, before its activation."""
        raise NotImplementedError

    def connect_each(
        self, inputs: Tensor, kernels: Tensor, attention: Tensor
    ) -> Tensor:
        """The same with the kernel `attention[n] @ kernels` for example `n`.

        Args:
            inputs: `(batch, ...)`.
            kernels: `(rows, *kernel.shape)`.
            attention: `(batch, rows)`.
        """
        raise NotImplementedError

    def kernel_gradients(self, inputs: Tensor, gradients: Tensor) -> Tensor:
        """Gradients of the kernel for each example.

        Args:
            inputs: `(batch, ...)`.
            gradients: Gradients of what `connect` returned.

        Returns:
            Tensor `(batch, *kernel.shape)`.
        """
        raise NotImplementedError

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "kernel_regularizer": keras.regularizers.serialize(
                self.kernel_regularizer
            ),
        }


@register
class AugmentedDense(AugmentedLayer):
    """A dense layer without bias that takes fast weights.

    `activation(x W) + activation(x W+)` (Munkhdalai and Yu 2017, section
    3.3); without fast weights `W+` it is the first term.

    Args:
        units: Width of the output.
        **kwargs: See `AugmentedLayer`.

    Raises:
        ValueError: If `units` is no positive integer.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = check_integer("units", units, 1)

    def build(self, input_shape: Shape) -> None:
        self.add_kernel((input_shape[-1], self.units))

    def connect(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return ops.matmul(inputs, kernel)

    def connect_each(
        self, inputs: Tensor, kernels: Tensor, attention: Tensor
    ) -> Tensor:
        # Linear in the kernel: all rows at once, then their mixture.
        each = ops.einsum("ni,rio->nro", inputs, kernels)
        return ops.einsum("nr,nro->no", attention, each)

    def kernel_gradients(self, inputs: Tensor, gradients: Tensor) -> Tensor:
        return inputs[:, :, None] * gradients[:, None]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> Config:
        return {**super().get_config(), "units": self.units}


@register
class AugmentedConv2D(AugmentedLayer):
    """A convolution without bias that takes fast weights.

    `activation(x * W) + activation(x * W+)` (Munkhdalai and Yu 2017, section
    3.3); without fast weights `W+` it is the first term. Images are `(batch,
    height, width, channels)`, padded so that their size stays.

    Args:
        filters: Channels of the output.
        kernel_size: Height and width of the kernel.
        **kwargs: See `AugmentedLayer`.

    Raises:
        ValueError: If a size is no positive integer.
    """

    def __init__(self, filters: int, kernel_size: Size, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = check_integer("filters", filters, 1)
        self.kernel_size = check_integer("kernel_size", kernel_size, 1)

    def build(self, input_shape: Shape) -> None:
        size = (self.kernel_size, self.kernel_size)
        self.add_kernel((*size, input_shape[-1], self.filters))

    def connect(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return ops.conv(inputs, kernel, padding="same")

    def connect_each(
        self, inputs: Tensor, kernels: Tensor, attention: Tensor
    ) -> Tensor:
        # A kernel for each example: a convolution with the kernels of all
        # rows computes `rows` times as much.
        rows, *shape = ops.shape(kernels)
        mixed = ops.matmul(attention, ops.reshape(kernels, (rows, -1)))
        return convolve_each(inputs, ops.reshape(mixed, (-1, *shape)))

    def kernel_gradients(self, inputs: Tensor, gradients: Tensor) -> Tensor:
        batch = ops.shape(inputs)[0]
        positions = gradients.shape[1] * gradients.shape[2]
        patches = ops.image.extract_patches(
            inputs, self.kernel_size, strides=1, padding="same"
        )
        patches = ops.reshape(patches, (batch, positions, patches.shape[-1]))
        gradients = ops.reshape(gradients, (batch, positions, self.filters))
        found = ops.matmul(ops.swapaxes(patches, 1, 2), gradients)
        return ops.reshape(found, (batch, *self.kernel.shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
        }

"""Meta Networks (Munkhdalai and Yu, 2017)."""

import keras
import tensorflow as tf
from keras import ops

from keras_meta import losses
from keras_meta.checks import check_choice, check_integer, check_network
from keras_meta.layers.content_addressing import cosine_similarity
from keras_meta.layers.coordinate_networks import CoordinateLSTM, CoordinateMLP
from keras_meta.layers.fast_weights import (
    AugmentedConv2D,
    AugmentedDense,
    FastWeights,
    WatchedLayers,
)
from keras_meta.layers.weighted_l1 import WeightedL1
from keras_meta.models.embedding_losses import (
    classification_loss,
    contrastive_loss,
    split_support,
    verification_loss,
)
from keras_meta.models.outer_loop import OuterLoop
from keras_meta.models.task_loop import map_tasks, map_tensors
from keras_meta.ops import ABSENT_LOGIT, at_least_float32, wide
from keras_meta.serialization import register

EMBEDDING_LOSSES = ("auto", "cross_entropy", "verification", "contrastive")
AUGMENTED = {"convolution": AugmentedConv2D, "dense": AugmentedDense}


@register
class MetaNetwork(OuterLoop):
    """Makes weights of its own for each task and each query, from gradients.

    With `f` the encoder (slow weights `theta`), `g` the base learner (slow
    weights `phi`), `F_w` an LSTM and `G_v` a network over single coordinates,
    a task is learned from its support `x'` and its queries `x` are predicted
    so (Munkhdalai and Yu 2017, algorithm 1):

        theta+  = F_w(grad_theta L_emb of chunks 1 .. T of the support)
        phi+_i  = G_v(grad_phi L_task(g_phi(x'_i), y'_i))
        r'_i    = f_{theta, theta+}(x'_i),  r_j = f_{theta, theta+}(x_j)
        a_j     = softmax_i cos(r'_i, r_j)
        phi+_j  = sum_i a_j(i) phi+_i
        logits  = g_{phi, phi+_j}(x_j)
    """
    def __init__(
        self,
        encoder,
        base_learner,
        embedding_loss="auto",
        embedding_steps=5,
        task_fast_weights=True,
        generator_units=20,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.encoder = check_network("encoder", encoder)
        self.base_learner = check_network("base_learner", base_learner)
        self.embedding_loss = check_choice(
            "embedding_loss", embedding_loss, EMBEDDING_LOSSES
        )
        self.embedding_steps = check_integer(
            "embedding_steps", embedding_steps, 1
        )
        self.task_fast_weights = task_fast_weights
        self.generator_units = check_integer(
            "generator_units", generator_units, 1
        )
        # Generators and what follows the encoder are in float32 at least.
        after = dict(dtype=wide(self.compute_dtype))
        # Each kind of layer has generators of its own.
        self.task_generators = {
            kind: CoordinateLSTM(generator_units, **after)
            for kind in _kinds(_augmented(encoder))
            if task_fast_weights
        }
        self.example_generators = {
            kind: CoordinateMLP(generator_units, **after)
            for kind in _kinds(_augmented(base_learner))
        }
        self.verification = WeightedL1(**after)

    @property
    def learned_variables(self):
        return self.trainable_variables

    @property
    def state_variables(self):
        return [
            *self.encoder.non_trainable_variables,
            *self.base_learner.non_trainable_variables,
        ]

    def compute_output_spec(self, episodes, training=False):
        self.check_episodes(episodes)
        query_x = episodes["query_x"]
        examples = keras.KerasTensor(
            (None, *query_x.shape[2:]), self.compute_dtype
        )
        embeddings = self.encoder(examples)
        outputs = self.base_learner(examples)
        self.fixed_way = outputs.shape[-1]
        self._build_generators(embeddings.shape[-1])
        shape = (*query_x.shape[:2], self.fixed_way)
        return keras.KerasTensor(shape, self.predictions_dtype)

    def _build_generators(self, dim):
        """Makes the weights of all that is not one of the two networks."""
        for generators in (self.task_generators, self.example_generators):
            for generator in generators.values():
                if not generator.built:
                    generator.build((None, None))
        if not self.verification.built:
            self.verification.build((None, None, dim), (None, None, dim))
            self.class_projection = self.add_weight(
                shape=(dim, self.fixed_way),
                initializer="lecun_normal",
                trainable=False,
                name="class_projection",
                dtype=wide(self.compute_dtype),
            )

    def adapt(self, support_x, support_y, training=False):
        self._build_for(support_x, support_y)
        learned, state = self._values()

        def adapt_one(example):
            with self._stateless(learned, state):
                return self._adapt(*example, training)[0]

        dtype, support = self.predictions_dtype, support_x.shape[1]
        dim = self.class_projection.shape[0]
        task_layers, example_layers = self._fast_layers()
        signature = {
            "keys": tf.TensorSpec((support, dim), dtype),
            "filled": tf.TensorSpec((support,), dtype),
        }
        for number, layer in enumerate(task_layers):
            signature[f"fast_weight_{number}"] = tf.TensorSpec(
                layer.kernel.shape, dtype
            )
        for number, layer in enumerate(example_layers):
            signature[f"value_{number}"] = tf.TensorSpec(
                (support, *layer.kernel.shape), dtype
            )
        return map_tasks(
            adapt_one, (support_x, support_y), signature, self._at_once
        )

    def infer(self, task, query_x, training=False):
        learned, state = self._values()

        def infer_one(example):
            with self._stateless(learned, state):
                return self._infer(*example, training)

        return map_tasks(
            infer_one,
            (task, query_x),
            tf.TensorSpec(
                (query_x.shape[1], self.fixed_way), self.predictions_dtype
            ),
            self._at_once,
        )

    def task_gradient(self, learned, state, episode):
        x = episode[0]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(learned)
            with self._stateless(learned, state) as scope:
                task, own = self._adapt(x["support_x"], x["support_y"], True)
                predictions = self._infer(task, x["query_x"], True)
                batch = map_tensors(lambda t: t[None], episode)
                x, y, sample_weight = batch
                loss = self.compute_loss(
                    x, y, predictions[None], sample_weight, training=True
                )
                own = tf.cast(own, loss.dtype) / self._replicas
                total = loss + own
            after = [
                scope.get_current_value(variable)
                for variable in self.state_variables
            ]
        gradients = tape.gradient(
            total, learned, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return gradients, loss, predictions, after

    def _stateless(self, learned, state):
        """A scope in which the variables have these values."""
        mapping = [
            *zip(self.learned_variables, learned, strict=True),
            *zip(self.state_variables, state, strict=True),
        ]
        return keras.StatelessScope(mapping, collect_losses=True)

    def _fast_layers(self):
        """The layers with task-level and with example-level fast weights."""
        task_layers = _augmented(self.encoder) if self.task_fast_weights else []
        return task_layers, _augmented(self.base_learner)

    def _adapt(self, support_x, support_y, training):
        """Learns one task.

        Returns:
            `(task, loss)`: the task without its tasks axis, and the loss of
            the verification weights.
        """
        support_y = ops.cast(support_y, self.predictions_dtype)
        fast, loss = self._task_weights(support_x, support_y, training)
        values = self._example_weights(support_x, support_y, training)
        keys = self._embed(support_x, fast, training)
        filled = ops.cast(ops.any(support_y > 0, axis=-1), keys.dtype)
        task = {"keys": keys, "filled": filled}
        task.update({f"fast_weight_{n}": w for n, w in enumerate(fast)})
        task.update({f"value_{n}": w for n, w in enumerate(values)})
        return task, loss

    def _infer(self, task, query_x, training):
        """Predicts queries `(query, ...)` of one task."""
        task_layers, example_layers = self._fast_layers()
        fast = [task[f"fast_weight_{n}"] for n in range(len(task_layers))]
        values = [task[f"value_{n}"] for n in range(len(example_layers))]
        queries = self._embed(query_x, fast, training)
        scores = cosine_similarity(queries[None], task["keys"][None])[0]
        scores = ops.where(task["filled"] > 0, scores, ABSENT_LOGIT)
        attention = ops.softmax(scores, axis=-1)
        with FastWeights(example_layers, values, attention):
            return at_least_float32(
                self.base_learner(query_x, training=training)
            )

    def _embed(self, examples, fast, training):
        """Embeddings `(n, dim)` with slow and fast weights."""
        with FastWeights(self._fast_layers()[0], fast):
            return at_least_float32(self.encoder(examples, training=training))

    def _task_weights(self, support_x, support_y, training):
        """`theta+`, a kernel for each layer, and the verification's loss."""
        layers = self._fast_layers()[0]
        if not layers:
            return [], ops.zeros((), self.predictions_dtype)
        most = self.embedding_steps
        if support_x.shape[0] is not None:
            most = min(most, support_x.shape[0])
        one_shot = ops.max(ops.sum(support_y, axis=0)) <= 1
        if self.embedding_loss != "auto":
            one_shot = ops.equal(self.embedding_loss == "cross_entropy", True)
        # A pair is two examples of a chunk.
        least = ops.where(one_shot, 1, 2)
        chunks, count = split_support(support_y, most, least)

        def loss(embeddings):
            embeddings = at_least_float32(embeddings)
            found = []
            if self.embedding_loss in ("auto", "cross_entropy"):
                logits = ops.matmul(
                    ops.relu(embeddings), self.class_projection
                )
                found.append(classification_loss(logits, support_y, chunks))
            if self.embedding_loss in ("auto", "verification"):
                logits = self.verification(embeddings[None], embeddings[None])
                found.append(verification_loss(logits[0], support_y, chunks))
            if self.embedding_loss == "contrastive":
                found.append(contrastive_loss(embeddings, support_y, chunks))
            return found[0] if len(found) == 1 else ops.where(one_shot, *found)

        gradients, embeddings = self._example_gradients(
            self.encoder, layers, support_x, loss, training
        )
        gradients = [
            ops.matmul(ops.transpose(chunks), ops.reshape(g, (ops.shape(g)[0], -1)))
            for g in gradients
        ]
        fast = self._generate(
            self.task_generators, layers, gradients, lambda f, g: f(g, count)[None]
        )
        own = loss(ops.stop_gradient(embeddings))
        return [w[0] for w in fast], own - ops.stop_gradient(own)

    def _example_weights(self, support_x, support_y, training):
        """`phi+` of each support example, `(support, *kernel.shape)` each."""

        def loss(logits):
            log_p = ops.log_softmax(at_least_float32(logits), axis=-1)
            return -ops.sum(support_y * log_p)

        layers = self._fast_layers()[1]
        gradients, _ = self._example_gradients(
            self.base_learner, layers, support_x, loss, training
        )
        gradients = [ops.reshape(g, (ops.shape(g)[0], -1)) for g in gradients]
        return self._generate(
            self.example_generators, layers, gradients, lambda f, g: f(g)
        )

    def _example_gradients(self, network, layers, x, loss, training):
        """Gradients of each example's loss with respect to slow kernels.

        Args:
            network: Encoder or base learner.
            layers: Its augmented layers.
            x: `(n, ...)`.
            loss: Function of the outputs `(n, ...)` that returns a scalar, a
                sum of losses of examples.
            training: Python bool.

        Returns:
            `(gradients, outputs)`: list of `(n, *kernel.shape)`.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            with WatchedLayers(tape.watch) as watched:
                outputs = network(x, training=training)
            value = loss(outputs)
        found = tape.gradient(value, watched.connected)
        gradients = watched.kernel_gradients(layers, found)
        return [tf.stop_gradient(g) for g in gradients], outputs

    def _generate(self, generators, layers, gradients, generate):
        """Runs the generator of each kind of layer over all its kernels.

        Args:
            generators: Dict of `F_w` or `G_v` by kind.
            layers: Augmented layers.
            gradients: List of `(rows, size of the kernel)`.
            generate: Function of a generator and gradients that returns
                `(rows, coordinates)`.

        Returns:
            List of fast kernels `(rows, *kernel.shape)`.
        """
        found = {}
        for kind, generator in generators.items():
            own = [n for n, l in enumerate(layers) if isinstance(l, AUGMENTED[kind])]
            sizes = [gradients[n].shape[-1] for n in own]
            made = generate(
                generator, ops.concatenate([gradients[n] for n in own], axis=1)
            )
            for n, part in zip(own, tf.split(made, sizes, axis=1), strict=True):
                shape = (ops.shape(part)[0], *layers[n].kernel.shape)
                found[n] = ops.reshape(part, shape)
        return [found[n] for n in range(len(layers))]

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "base_learner": keras.saving.serialize_keras_object(
                self.base_learner
            ),
            "embedding_loss": self.embedding_loss,
            "embedding_steps": self.embedding_steps,
            "task_fast_weights": self.task_fast_weights,
            "generator_units": self.generator_units,
        }


def _augmented(network):
    return [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, tuple(AUGMENTED.values()))
    ]


def _kinds(layers):
    return [
        kind
        for kind, layer_class in AUGMENTED.items()
        if any(isinstance(layer, layer_class) for layer in layers)
    ]

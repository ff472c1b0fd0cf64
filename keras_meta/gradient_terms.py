"""The meta-gradients of MAML, FOMAML and Reptile, and their terms."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_meta.checks import check_positive
from keras_meta.typing import Tensor, TensorLike


def gradient_terms(
    loss0: Callable[[list[Tensor]], Tensor],
    loss1: Callable[[list[Tensor]], Tensor],
    params: Sequence[TensorLike],
    alpha: float | Tensor,
) -> dict[str, list[Tensor]]:
    """The three meta-gradients of two steps, and their first-order expansions.

    A task has two minibatches with the losses `L_0` and `L_1`. With `a` the
    step size and `theta_0 = params`, the first step leads to `theta_1 =
    theta_0 - a * grad L_0(theta_0)` and the second to `theta_2 = theta_1 - a
    * grad L_1(theta_1)`. The meta-gradients are (Nichol, Achiam and Schulman
    2018, "On First-Order Meta-Learning Algorithms", section 5; Finn et al.
    2017 for MAML)

        g_FOMAML  = grad L_1(theta_1)
        g_MAML    = (I - a H_0) grad L_1(theta_1) = grad_theta_0 L_1(theta_1)
        g_Reptile = (theta_0 - theta_2) / a = g_0 + grad L_1(theta_1)

    where `g_i` is the gradient and `H_i` the Hessian of `L_i`, both at
    `theta_0`. To first order in `a`

        g_FOMAML  = g_1        - a H_1 g_0               + O(a^2)
        g_MAML    = g_1        - a H_1 g_0 - a H_0 g_1   + O(a^2)
        g_Reptile = g_0 + g_1  - a H_1 g_0               + O(a^2)

    and if the minibatches are drawn independently, with `A = E[g_0] =
    E[g_1]` and `B = E[H_1 g_0] = E[H_0 g_1] = grad E[g_0 . g_1] / 2`,

        E[g_FOMAML]  = A - a B    E[g_MAML] = A - 2 a B
        E[g_Reptile] = 2 A - a B          each + O(a^2)

    A step against these moves along `-A`, which lowers the loss, and along
    `+B`, which raises `g_0 . g_1`: a step on one minibatch then helps on
    another of the same task.

    The meta-gradients are exact; that of MAML goes through the first step.
    Hessians are never built: their products are gradients of a gradient. A
    network with batch norm needs `keras_meta.layers.
    EpisodicBatchNormalization`, as that of Keras stops a gradient.

    Args:
        loss0: Function of a list of tensors like `params`: the scalar loss
            of the first minibatch. It is called a few times, so it must
            not draw new random numbers.
        loss1: The same of the second minibatch.
        params: List of tensors or variables of floats, of any shapes; the
            variables are not changed. Small remainders need float64.
        alpha: Step size of the first step, a positive number or a scalar
            tensor.

    Returns:
        Dict of lists of tensors in the shapes of `params`: the exact
        `fomaml`, `maml` and `reptile`; at `theta_0` the terms `g0`, `g1`,
        `H0g1` (`H_0 g_1`) and `H1g0`; and the expansions without their
        remainder `fomaml_leading`, `maml_leading` and `reptile_leading`.

    Raises:
        ValueError: If `params` is no list of floats, if `alpha` is not
            positive, or if a loss does not return a scalar.

    Example:

    >>> terms = gradient_terms(
    ...     lambda params: params[0] ** 2 / 2,
    ...     lambda params: 3 * (params[0] - 1) ** 2 / 2,
    ...     [np.array(2.0)],
    ...     alpha=0.1,
    ... )
    >>> for name in ("g0", "g1", "H1g0", "H0g1", "maml", "maml_leading"):
    ...     print(name, round(float(terms[name][0]), 3))
    g0 2.0
    g1 3.0
    H1g0 6.0
    H0g1 3.0
    maml 2.16
    maml_leading 2.1
    """
    theta = _as_tensors(params)
    alpha = _check_alpha(alpha)
    loss0 = _checked("loss0", loss0)
    loss1 = _checked("loss1", loss1)

    g0 = _gradients(loss0, theta)
    g1 = _gradients(loss1, theta)
    H0g1 = _hessian_product(loss0, theta, g1)
    H1g0 = _hessian_product(loss1, theta, g0)

    fomaml = _gradients(loss1, _minus(theta, alpha, g0))
    maml = _gradients(
        lambda start: loss1(_minus(start, alpha, _gradients(loss0, start))),
        theta,
    )
    fomaml_leading = _minus(g1, alpha, H1g0)
    return {
        "g0": g0,
        "g1": g1,
        "H0g1": H0g1,
        "H1g0": H1g0,
        "maml": maml,
        "fomaml": fomaml,
        "reptile": _plus(g0, fomaml),
        "maml_leading": _minus(fomaml_leading, alpha, H0g1),
        "fomaml_leading": fomaml_leading,
        "reptile_leading": _plus(g0, fomaml_leading),
    }


def _gradients(loss, params):
    """The gradient of `loss` at `params`, itself differentiable."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(params)
        value = loss(params)
    return _gradient_of(tape, value, params)


def _hessian_product(loss, params, vector):
    """`H v`: the gradient of `grad loss(params) . v`, with `v` fixed."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(params)
        gradients = _gradients(loss, params)
    return _gradient_of(tape, gradients, params, vector)


def _gradient_of(tape, values, params, weights=None):
    gradients = tape.gradient(
        values,
        params,
        output_gradients=weights,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    # Gradients of rows that were looked up are sparse.
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def _minus(vector, alpha, step):
    # `tf.cast` would round a number to float32 on its way to float64.
    rate = tf.cast if tf.is_tensor(alpha) else tf.constant
    return [
        part - rate(alpha, part.dtype) * step_part
        for part, step_part in zip(vector, step, strict=True)
    ]


def _plus(vector, other):
    return [part + more for part, more in zip(vector, other, strict=True)]


def _as_tensors(params):
    if not isinstance(params, list | tuple) or not params:
        raise ValueError(
            "`params` must be a list of tensors or variables. "
            f"Received: params of {type(params).__name__}"
            + (" without any" if isinstance(params, list | tuple) else "")
        )
    tensors = [tf.convert_to_tensor(part) for part in params]
    for number, tensor in enumerate(tensors):
        if not tensor.dtype.is_floating:
            raise ValueError(
                "`params` must be floats. "
                f"Received: params[{number}] of {tensor.dtype.name}"
            )
    return tensors


def _check_alpha(alpha):
    if tf.is_tensor(alpha):
        if alpha.shape.rank in (0, None):
            return alpha
        raise ValueError(
            "`alpha` must be a positive number or a scalar tensor. "
            f"Received: alpha={alpha!r}"
        )
    return float(check_positive("alpha", alpha))


def _checked(name, loss):
    """The loss, which must return a scalar."""

    def checked(params):
        value = tf.convert_to_tensor(loss(params))
        if value.shape.rank not in (0, None):
            raise ValueError(
                f"`{name}` must return a scalar, such as the mean over the "
                f"minibatch. Received: a tensor of shape {value.shape}"
            )
        return value

    return checked

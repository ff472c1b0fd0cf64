"""Content-based access to a memory matrix (Graves et al. 2014, section 3).

A memory has `slots` rows of `width` numbers. Each of `heads` heads weighs all
rows, here by the cosine of its key with each row.
"""

from keras import ops

# The smallest norm divided by: far below the norm of a row that holds 1e-6.
EPSILON = 1e-8


def cosine_similarity(keys, memory):
    """`K(k, M_i) = k . M_i / (|k| |M_i|)`; 0 for a zero key or row.

    Norms below 1e-8 count as 1e-8, so that gradients are finite everywhere.

    Args:
        keys: `(batch, heads, width)`.
        memory: `(batch, slots, width)`.

    Returns:
        Tensor `(batch, heads, slots)` in `[-1, 1]`.
    """
    # An einsum and no product with the transposed memory: XLA would keep that
    # of all steps for the gradient.
    products = ops.einsum("bhm,bnm->bhn", keys, memory)
    products = products * _inverse_norms(keys)[:, :, None]
    return products * _inverse_norms(memory)[:, None, :]


def read(weights, memory):
    """`r^h = sum_i w^h(i) M_i`.

    Args:
        weights: `(batch, heads, slots)`.
        memory: `(batch, slots, width)`.

    Returns:
        Tensor `(batch, heads, width)`.
    """
    return ops.matmul(weights, memory)


def _inverse_norms(vectors):
    squares = ops.sum(vectors * vectors, axis=-1)
    # Equal to 1 / max(norm, EPSILON), with a finite gradient at 0.
    return ops.rsqrt(ops.maximum(squares, EPSILON**2))

"""Tests of the terms of meta-gradients, in float64."""

import itertools
import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_meta.gradient_terms import gradient_terms

VECTORS = pathlib.Path(__file__).parent / "vectors"
METHODS = ("maml", "fomaml", "reptile")


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


def close(actual, expected, name="", atol=1e-10):
    np.testing.assert_allclose(
        actual, expected, rtol=0, atol=atol, err_msg=name
    )


def quadratic(hessian, centre):
    """`(params - m)^T H (params - m) / 2`."""
    hessian, centre = tf.constant(hessian, "float64"), np.array(centre)

    def loss(params):
        offset = params[0] - centre
        return tf.tensordot(offset, tf.linalg.matvec(hessian, offset), 1) / 2

    return loss


@pytest.fixture(scope="module", params=range(3))
def quadratic_task(request):
    """Inputs, terms and expected values of a task."""
    vector, number = load("maml_quadratic"), request.param
    inputs = vector["inputs"]
    H0, H1 = (inputs[f"H_{part}"][number] for part in ("support", "query"))
    terms = gradient_terms(
        quadratic(H0, inputs["m_support"][number]),
        quadratic(H1, inputs["m_query"][number]),
        [np.array(inputs["theta"])],
        inputs["alpha"],
    )
    terms = {name: value[0].numpy() for name, value in terms.items()}
    expected = vector["expected"]["seed_two_step"][number]
    return inputs["alpha"], np.array(H0), np.array(H1), terms, expected


class TestQuadraticVector:
    """Losses whose gradients and expansions have a closed form."""

    def test_terms_vector(self, quadratic_task):
        _, H0, H1, terms, expected = quadratic_task
        g0, g1 = expected["g0_at_theta0"], expected["g1_at_theta0"]
        close(terms["g0"], g0, "g0")
        close(terms["g1"], g1, "g1")
        close(terms["H0g1"], H0 @ g1, "H0g1")
        close(terms["H1g0"], H1 @ g0, "H1g0")

    @pytest.mark.parametrize("method", METHODS)
    def test_meta_gradients_vector(self, quadratic_task, method):
        *_, terms, expected = quadratic_task
        close(terms[method], expected[f"g_{method}"], method)
        close(terms[f"{method}_leading"], expected[f"leading_{method}"], method)

    def test_first_order_expansions_are_exact_but_that_of_maml(
        self, quadratic_task
    ):
        alpha, H0, H1, terms, expected = quadratic_task
        for method in ("fomaml", "reptile"):
            close(terms[method], terms[f"{method}_leading"], method, 1e-12)
        remainder = terms["maml"] - terms["maml_leading"]
        close(remainder, expected["maml_second_order_remainder"])
        close(remainder, alpha**2 * H0 @ H1 @ terms["g0"])


@pytest.fixture(scope="module")
def expectation():
    return load("maml_expectation")


@pytest.fixture(scope="module")
def means(expectation):
    inputs = expectation["inputs"]
    total = {}
    pairs = 0
    for hessians, centres in zip(inputs["H"], inputs["m"], strict=True):
        losses = list(map(quadratic, hessians, centres))
        for loss0, loss1 in itertools.product(losses, losses):
            terms = gradient_terms(
                loss0, loss1, [np.array(inputs["theta"])], inputs["alpha"]
            )
            for name, value in terms.items():
                total[name] = total.get(name, 0) + value[0].numpy()
            pairs += 1
    return {name: value / pairs for name, value in total.items()}


class TestExpectationVector:
    """Means over all pairs of minibatches of two tasks."""

    def test_both_minibatches_have_the_same_means(self, expectation, means):
        close(means["g0"], expectation["expected"]["A"], "A from g0")
        close(means["g1"], expectation["expected"]["A"], "A from g1")
        close(means["H1g0"], expectation["expected"]["B"], "B from H1g0")
        close(means["H0g1"], expectation["expected"]["B"], "B from H0g1")

    @pytest.mark.parametrize("method", METHODS)
    def test_expected_meta_gradients_vector(self, expectation, means, method):
        expected = expectation["expected"]["k2"]
        close(means[method], expected[f"E_g_{method}"], method)
        leading = means[f"{method}_leading"]
        close(leading, expected[f"leading_{method}"], method)
        a, b = expected["coefficients_A_and_alphaB"][method]
        alpha = expectation["inputs"]["alpha"]
        close(leading, a * means["g0"] - b * alpha * means["H1g0"], method)


def tanh_network(seed):
    """The losses of two minibatches, and weights of three shapes."""
    generator = np.random.default_rng(seed)
    params = [
        tf.constant(generator.normal(size=shape))
        for shape in [(2, 5), (5,), (5, 1)]
    ]

    def loss(x, y):
        def mean_squared_error(params):
            hidden, bias, output = params
            values = tf.tanh(x @ hidden + bias) @ output
            return tf.reduce_mean((values - y) ** 2)

        return mean_squared_error

    loss0, loss1 = (
        loss(generator.normal(size=(6, 2)), generator.normal(size=(6, 1)))
        for _ in range(2)
    )
    return loss0, loss1, params


def flat(parts):
    return np.concatenate([np.ravel(part) for part in parts])


def unflat(vector, like):
    sizes = np.cumsum([np.size(part) for part in like])[:-1]
    return [
        tf.reshape(part, old.shape)
        for part, old in zip(np.split(vector, sizes), like, strict=True)
    ]


def differences(function, params, step=1e-5):
    """The derivatives of `function` by central differences, one by one."""
    theta = flat(params)
    return np.stack(
        [
            function(unflat(theta + step * unit, params))
            - function(unflat(theta - step * unit, params))
            for unit in np.eye(theta.size)
        ]
    ) / (2 * step)


class TestTanhNetwork:
    """Losses that are not quadratic, so no expansion is exact."""

    def test_terms_are_those_of_central_differences(self):
        loss0, loss1, params = tanh_network(seed=0)
        alpha = 0.1
        terms = gradient_terms(loss0, loss1, params, alpha)

        def gradient(loss, params):
            with tf.GradientTape() as tape:
                tape.watch(params)
                value = loss(params)
            return flat(tape.gradient(value, params))

        def first_step(params):
            step = flat(params) - alpha * gradient(loss0, params)
            return unflat(step, params)

        g0 = differences(lambda at: loss0(at).numpy(), params)
        g1 = differences(lambda at: loss1(at).numpy(), params)
        H0 = differences(lambda at: gradient(loss0, at), params)
        H1 = differences(lambda at: gradient(loss1, at), params)
        fomaml = gradient(loss1, first_step(params))
        expected = {
            "g0": g0,
            "g1": g1,
            "H0g1": H0 @ g1,
            "H1g0": H1 @ g0,
            "maml": differences(
                lambda at: loss1(first_step(at)).numpy(), params
            ),
            "fomaml": fomaml,
            "reptile": g0 + fomaml,
            "maml_leading": g1 - alpha * H1 @ g0 - alpha * H0 @ g1,
            "fomaml_leading": g1 - alpha * H1 @ g0,
            "reptile_leading": g0 + g1 - alpha * H1 @ g0,
        }
        assert set(terms) == set(expected)
        for name, value in terms.items():
            for part, param in zip(value, params, strict=True):
                assert part.shape == param.shape
                assert part.dtype == "float64"
            close(flat(value), expected[name], name, atol=1e-7)
        # The identity that links the two: (I - a H_0) grad L_1(theta_1).
        close(flat(terms["maml"]), fomaml - alpha * H0 @ fomaml, atol=1e-7)

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("method", METHODS)
    def test_half_the_step_leaves_a_quarter_of_the_remainder(
        self, method, seed
    ):
        ratio = self.remainder_ratio(seed, method, lambda terms: 0)
        assert 3.8 < ratio < 4.2

    @pytest.mark.parametrize("method", METHODS)
    def test_a_wrong_sign_would_leave_half_of_it(self, method):
        # A remainder of first order, so the test above sees such an error.
        ratio = self.remainder_ratio(0, method, lambda terms: terms["H1g0"])
        assert 1.8 < ratio < 2.2

    def remainder_ratio(self, seed, method, extra):
        """How the remainder shrinks, with `2 alpha * extra` in the terms."""
        loss0, loss1, params = tanh_network(seed)
        sizes = []
        for alpha in (0.002, 0.001):
            terms = gradient_terms(loss0, loss1, params, alpha)
            terms = {name: flat(value) for name, value in terms.items()}
            leading = terms[f"{method}_leading"] + 2 * alpha * extra(terms)
            sizes.append(np.linalg.norm(terms[method] - leading))
        return sizes[0] / sizes[1]

    def test_small_steps_leave_the_first_order_gradients(self):
        terms = gradient_terms(*tanh_network(0), alpha=1e-12)
        terms = {name: flat(value) for name, value in terms.items()}
        close(terms["maml"], terms["g1"], "maml")
        close(terms["fomaml"], terms["g1"], "fomaml")
        close(terms["reptile"], terms["g0"] + terms["g1"], "reptile")


class TestParams:
    def test_variables_give_what_tensors_give_and_stay(self):
        loss0, loss1, params = tanh_network(seed=1)
        expected = gradient_terms(loss0, loss1, params, 0.1)
        for make in (tf.Variable, keras.Variable):
            variables = [make(part, dtype="float64") for part in params]
            terms = gradient_terms(loss0, loss1, variables, 0.1)
            for name, value in terms.items():
                close(flat(value), flat(expected[name]), name, atol=0)
            for variable, param in zip(variables, params, strict=True):
                np.testing.assert_array_equal(variable, param)

    def test_a_graph_with_alpha_as_a_tensor_gives_the_same(self):
        loss0, loss1, params = tanh_network(seed=1)
        graph = tf.function(
            lambda alpha: gradient_terms(loss0, loss1, params, alpha)
        )
        terms = graph(tf.constant(0.1, "float64"))
        for name, value in gradient_terms(loss0, loss1, params, 0.1).items():
            close(flat(terms[name]), flat(value), name, atol=1e-14)

    def test_a_parameter_that_no_loss_uses_gets_zeros(self):
        params = [np.array([1.0, 2.0]), np.array(5.0)]
        terms = gradient_terms(
            lambda params: tf.reduce_sum(params[0] ** 2),
            lambda params: tf.reduce_sum(3 * params[0]),
            params,
            0.1,
        )
        for name, value in terms.items():
            assert value[0].shape == (2,) and value[1].shape == (), name
            assert float(value[1]) == 0, name
        # A linear loss has no Hessian.
        np.testing.assert_array_equal(terms["H1g0"][0], [0, 0])
        np.testing.assert_array_equal(terms["H0g1"][0], [6, 6])
        close(terms["maml"][0], [2.4, 2.4])

    def test_looked_up_rows_are_differentiated(self):
        table = np.arange(6.0).reshape(3, 2)
        rows = tf.constant([2, 0, 2])
        dense = tf.one_hot(rows, 3, dtype="float64")
        terms, expected = (
            gradient_terms(
                lambda params, read=read: tf.reduce_sum(read(params[0]) ** 3),
                lambda params, read=read: tf.reduce_sum(read(params[0]) ** 2),
                [table],
                0.01,
            )
            for read in (lambda t: tf.gather(t, rows), lambda t: dense @ t)
        )
        for name, value in terms.items():
            close(value[0], expected[name][0], name)


def square(params):
    return tf.reduce_sum(params[0] ** 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"params": np.ones(2)}, "`params` must be a list.*of ndarray"),
        ({"params": []}, "`params` must be a list.*of list without any"),
        ({"params": [[1, 2]]}, r"must be floats.*params\[0\] of int32"),
        ({"alpha": 0}, "`alpha` must be a positive number.*alpha=0"),
        ({"alpha": np.nan}, "`alpha` must be a positive.*alpha=nan"),
        ({"alpha": "a"}, "`alpha` must be a positive.*alpha='a'"),
        ({"alpha": tf.ones(2)}, "`alpha` must be a positive.*or a scalar t"),
        (
            {"loss0": lambda params: params[0]},
            r"`loss0` must return a scalar.*shape \(2,\)",
        ),
        (
            {"loss1": lambda params: params[0] ** 2},
            r"`loss1` must return a scalar.*shape \(2,\)",
        ),
    ],
)
def test_errors_say_what_was_expected(options, message):
    given = {
        "loss0": square,
        "loss1": square,
        "params": [np.ones(2)],
        "alpha": 0.1,
    }
    with pytest.raises(ValueError, match=message):
        gradient_terms(**{**given, **options})

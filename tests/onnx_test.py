"""Exports become ONNX files, which ONNX Runtime runs as the model does."""

import numpy as np
import pytest
import tensorflow as tf

import zoo

tf2onnx = pytest.importorskip("tf2onnx", reason="extra `onnx`")
onnxruntime = pytest.importorskip("onnxruntime", reason="extra `onnx`")

# tf2onnx asks NumPy for names that it will give another meaning.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PRESETS = (
    "prototypical_network_omniglot",
    "matching_network_omniglot",
    "siamese_network_omniglot",
)


def converted(signature):
    """A signature as a function of named arrays that returns arrays."""
    specs = signature.structured_input_signature[1]
    function = tf.function(
        lambda *given: signature(**dict(zip(specs, given, strict=True))),
        autograph=False,
    )
    model, _ = tf2onnx.convert.from_function(
        function, [*specs.values()], opset=18
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = sorted(signature.structured_outputs)
    return lambda **given: dict(
        zip(names, session.run(None, given), strict=True)
    )


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_learns_in_onnx_runtime(name, tmp_path):
    model = zoo.load(name)
    rng = np.random.default_rng(0)
    support_x = rng.random((1, 6, 28, 28, 1), "float32")
    query_x = rng.random((1, 3, 28, 28, 1), "float32")
    support_y = np.tile(np.eye(3, dtype="float32"), (1, 2, 1))

    model.encoder.export(tmp_path / "encoder.onnx", "onnx", verbose=False)
    encoder = onnxruntime.InferenceSession(tmp_path / "encoder.onnx")
    (given,) = encoder.get_inputs()
    (found,) = encoder.run(None, {given.name: query_x[0]})
    np.testing.assert_allclose(found, model.encoder(query_x[0]), atol=1e-4)

    model.export(tmp_path / "served")
    # Its variables live as long as it.
    loaded = tf.saved_model.load(tmp_path / "served")
    served = loaded.signatures
    task = converted(served["adapt"])(support_x=support_x, support_y=support_y)
    found = converted(served["infer"])(query_x=query_x, **task)
    expected = model.infer(model.adapt(support_x, support_y), query_x)
    np.testing.assert_allclose(
        found["probabilities"], model.probabilities(expected), atol=1e-4
    )

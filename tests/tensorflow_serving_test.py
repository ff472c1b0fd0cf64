"""Exports follow the rules of TensorFlow Serving, which loads them as below.

It reads `saved_model.pb`, restores the graph of the tag `serve` and runs the
tensors that a signature names; nothing of Python is left then.
"""

import numpy as np
import pytest
import tensorflow as tf
from served_models import built

import keras_meta as km


def maml():
    network = km.encoders.mlp((3,))
    return built(
        km.models.MAML(network, inner_learning_rate=0.1, inner_steps=1), (6,)
    )


MODELS = {
    "prototypical": lambda: built(
        km.models.PrototypicalNetwork(km.encoders.mlp((4,))), (6,)
    ),
    "full context": lambda: built(
        km.models.MatchingNetwork(km.encoders.mlp((4,)), full_context=True),
        (6,),
    ),
    "maml": maml,
    "pictures": lambda: built(
        km.models.PrototypicalNetwork(
            km.encoders.mlp((4,)), preprocessing=km.Preprocessing(6)
        ),
        (6, 6, 1),
    ),
}


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    model = MODELS[request.param]()
    # A server looks for numbers below the folder of a model.
    folder = tmp_path_factory.mktemp("models") / "mine" / "1"
    pictures = request.param == "pictures"
    model.export(folder, preprocessing=pictures)
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    with graph.as_default():
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
    yield model, pictures, meta.signature_def, session
    session.close()


def serve(signature, inputs, session):
    """What TensorFlow Serving's predict API answers."""
    assert inputs.keys() == signature.inputs.keys()
    return session.run(
        {name: x.name for name, x in signature.outputs.items()},
        {signature.inputs[name].name: x for name, x in inputs.items()},
    )


def test_the_signatures_follow_the_rules(exported):
    _, pictures, signatures, _ = exported
    assert {"serving_default", "adapt", "infer"} <= signatures.keys()
    method = tf.compat.v1.saved_model.signature_constants.PREDICT_METHOD_NAME
    for name in ("serving_default", "adapt", "infer"):
        signature = signatures[name]
        assert signature.method_name == method
        assert signature.inputs and signature.outputs
        for key, info in {**signature.inputs, **signature.outputs}.items():
            # A tensor with a name: no structure, sparse or composite.
            assert key.isidentifier()
            assert info.WhichOneof("encoding") == "name" and info.name
            kind = tf.dtypes.as_dtype(info.dtype)
            assert kind in (tf.float32, tf.uint8)
            assert (kind is tf.uint8) == (pictures and key.endswith("_x"))
            # Batches are put together along the first axis, that of tasks.
            assert not info.tensor_shape.unknown_rank
            assert info.tensor_shape.dim[0].size == -1
    assert [*signatures["serving_default"].outputs] == ["probabilities"]
    assert [*signatures["infer"].outputs] == ["probabilities"]
    # What `infer` takes beside queries is what `adapt` gives, key by key.
    taken = {*signatures["infer"].inputs} - {"query_x"}
    assert taken == {*signatures["adapt"].outputs}


def test_a_server_learns_and_answers(exported):
    model, pictures, signatures, session = exported
    rng = np.random.default_rng(0)
    shape = model.example_shapes["support_x"]
    rows = rng.random((2, 9, *shape), "float32")
    support_y = np.stack([np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2]]] * 2)
    given = np.rint(rows * 255).astype("uint8") if pictures else rows
    rows = given / np.float32(255) if pictures else rows
    support = {"support_x": given[:, :6], "support_y": support_y}
    query = {"query_x": given[:, 6:]}
    task = model.adapt(rows[:, :6], support_y)
    expected = model.probabilities(model.infer(task, rows[:, 6:]))
    both = {**support, **query}
    found = serve(signatures["serving_default"], both, session)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    sent = serve(signatures["adapt"], support, session)
    found = serve(signatures["infer"], {**query, **sent}, session)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)

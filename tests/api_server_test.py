"""The server of `keras-meta serve`, without a socket."""

import concurrent.futures
import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from demo_drawings import drawing, examples
from served_models import (
    SIZE,
    built,
    encoded,
    new_class,
    query,
    small,
    small_model,
)

import keras_meta as km

pytest.importorskip("fastapi", reason="the extra `serve` is missing")

from starlette.testclient import TestClient  # noqa: E402

from zoo import api_server, served_classifier  # noqa: E402
from zoo.serving_limits import Limits  # noqa: E402

LIMITS = Limits(megabytes=1, images=8, classes=4, examples=20)


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture
def client(model):
    served = served_classifier.ServedClassifier(model, limits=LIMITS)
    app = api_server.make_app("mine", served, {"localhost", "::1"})
    return TestClient(app, "http://localhost:8000")


@pytest.fixture
def taught(client):
    for name in ("ring", "cross"):
        client.post("/classes", json=new_class(name))
    return client


def refused(response, code, *place):
    """Checks that a request was refused, and which field is named."""
    assert response.status_code == code, response.text
    (fault, *_) = response.json()["detail"]
    if place:
        assert fault["loc"][: len(place)] == [*place]
    return fault["msg"]


def test_classes_are_listed_added_and_removed(client):
    assert client.get("/classes").json() == {"classes": {}, "ready": False}
    first = client.post("/classes", json=new_class("ring"))
    assert first.json() == {"classes": {"ring": 2}, "ready": False}
    client.post("/classes", json={**new_class("bar", 1), "label": "a/b c?"})
    again = client.post("/classes", json=new_class("ring", 3))
    assert again.json() == {"classes": {"a/b c?": 1, "ring": 5}, "ready": True}
    left = client.delete("/classes", params={"label": "a/b c?"})
    assert left.json() == {"classes": {"ring": 5}, "ready": False}
    gone = client.delete("/classes", params={"label": "a/b c?"})
    assert "no class 'a/b c?'" in refused(gone, 404)


def test_health_names_the_model_and_what_is_known(taught):
    found = taught.get("/healthz").json()
    assert (found["status"], found["model"]) == ("ok", "mine")
    assert found["ready"] and found["classes"] == {"ring": 2, "cross": 2}


def test_the_answers_are_those_of_a_classifier(taught, model):
    pictures = [small(drawing("ring", 66)), small(drawing("bar"))]
    found = taught.post("/predict", json=query("ring")).json()["predictions"]
    assert found[0]["label"] == "ring"
    from_files = taught.post(
        "/predict/files",
        files=[("files", ("a.png", picture)) for picture in pictures],
    ).json()["predictions"]
    pixels = km.data.EncodedImages(
        [
            *map(small, (*examples("ring")[1], *examples("cross")[1])),
            *pictures,
        ],
        model.preprocessing,
    ).numpy()
    classifier = km.FewShotClassifier(model)
    classifier.fit(pixels[:4], ["ring"] * 2 + ["cross"] * 2)
    for row, answer in zip(
        classifier.predict_proba(pixels[4:]), from_files, strict=True
    ):
        shares = answer["probabilities"]
        expected = dict(zip(classifier.classes_, row.tolist(), strict=True))
        assert shares == pytest.approx(expected, abs=1e-5)
        # The most probable first.
        assert [*shares.values()] == sorted(shares.values(), reverse=True)
        assert answer["label"] == next(iter(shares))
    assert found[0] == from_files[0]


def test_classes_of_a_request_are_not_kept(taught):
    sent = query("bar", classes=[new_class("bar"), new_class("ring")])
    found = taught.post("/predict", json=sent).json()["predictions"]
    assert {*found[0]["probabilities"]} == {"bar", "ring"}
    assert found[0]["label"] == "bar"
    assert {*taught.get("/classes").json()["classes"]} == {"ring", "cross"}


def test_files_add_a_class(taught):
    files = [("files", ("a.png", file)) for file in examples("bar", 3)[1]]
    found = taught.post("/classes/files", data={"label": "bar"}, files=files)
    assert found.json()["classes"]["bar"] == 3


def test_arrays_are_pictures_in_either_range(taught):
    pixels = np.zeros((SIZE, SIZE))
    pixels[2:6, 2:6] = 1
    answers = [
        taught.post("/predict", json={"images": [array.tolist()]}).json()
        for array in (pixels, pixels * 255, pixels[..., None].astype(int))
    ]
    assert answers[0] == answers[1] == answers[2]


def test_strangers_are_refused_if_asked(taught):
    for name, label in (("ring", "ring"), ("bar", None)):
        found = taught.post("/predict", json=query(name, unknown=0.2)).json()
        assert found["predictions"][0]["label"] in (label, None)
    response = taught.post("/predict", json=query("ring", unknown=2))
    refused(response, 422, "body", "unknown")
    sent = query("bar", unknown=0.1)
    sent["classes"] = [new_class("bar", 1), new_class("ring", 1)]
    text = refused(taught.post("/predict", json=sent), 422, "body", "unknown")
    assert "two examples" in text


def test_a_model_of_rows_takes_rows_and_no_pictures():
    model = built(km.models.PrototypicalNetwork(km.encoders.mlp((3,))), (4,))
    app = api_server.make_app("rows", served_classifier.ServedClassifier(model))
    client = TestClient(app)
    for label, row in (("low", [0, 0, 0, -9]), ("high", [5.5, 90, 9, 1])):
        sent = {"label": label, "images": [row, row]}
        assert client.post("/classes", json=sent).status_code == 200
    found = client.post("/predict", json={"images": [[0, 0.5, 0, -8]]})
    assert found.json()["predictions"][0]["label"] == "low"
    response = client.post("/predict", json={"images": [[1, 2]]})
    assert "(n, 4)" in refused(response, 422, "body", "images", 0)
    response = client.post("/predict", json=query("ring"))
    assert "no picture" in refused(response, 422, "body", "images", 0)
    huge = client.post("/predict", json={"images": [[3e38] * 4]})
    refused(huge, 422, "body", "images")


BAD_IMAGES = {
    "nothing": None,
    "no list": "text",
    "empty": [],
    "too many": [[[1]]] * 9,
    "number": [3],
    "true": [[[True]]],
    "text": ["no base64"],
    "no ASCII": ["é"],
    "no picture": [encoded(b"text")],
    "cut off": [encoded(drawing("ring")[:60])],
    "an object": [{}],
    "empty array": [[]],
    "empty row": [[[]]],
    "strings": [[["1"]]],
    "null": [[[None, 1]]],
    "ragged": [[[1, 2], [3]]],
    "negative": [[[-1, 2]]],
    "above 255": [[[256, 2]]],
    "five channels": [[[[1, 2, 3, 4, 5]]]],
    "deep": [[[[[1]]]]],
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_images_that_cannot_be_used_are_named(taught, kind):
    sent = {"images": BAD_IMAGES[kind]}
    refused(taught.post("/predict", json=sent), 422, "body", "images")
    classes = [new_class("bar"), {"label": "x", **sent}]
    response = taught.post("/predict", json=query("bar", classes=classes))
    refused(response, 422, "body", "classes", 1, "images")
    response = taught.post("/classes", json={"label": "x", **sent})
    refused(response, 422, "body", "images")
    assert "x" not in taught.get("/classes").json()["classes"]


@pytest.mark.parametrize(
    "text",
    [
        '{"images": [[[NaN, 1]]]}',
        '{"images": [[[1e999, 1]]]}',
        '{"images": [[[-Infinity]]]}',
        '{"images": [[[%s]]]}' % ("9" * 400),
        '{"images": [' + "[" * 500 + "1" + "]" * 500 + "]}",
    ],
)
def test_numbers_that_are_none_are_named(taught, text):
    header = {"Content-Type": "application/json"}
    response = taught.post("/predict", content=text, headers=header)
    refused(response, 422, "body", "images")


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"images": [[[%s]]]}' % ("9" * 5000)]
)
def test_what_is_no_json_is_refused(taught, text):
    header = {"Content-Type": "application/json"}
    response = taught.post("/predict", content=text, headers=header)
    assert response.status_code in (400, 422)
    assert response.json()["detail"][0]["msg"]


@pytest.mark.parametrize(
    "changed, place",
    [
        ({"classes": []}, ("classes",)),
        ({"classes": [new_class("ring")]}, ("classes",)),
        ({"classes": [new_class("ring")] * 2}, ("classes", 1, "label")),
        ({"classes": [new_class("bar"), 3]}, ("classes", 1)),
        ({"classes": [{**new_class("bar"), "label": 3}] * 2}, ("classes", 0)),
        ({"unknown": "much"}, ("unknown",)),
        ({"unknown": 0}, ("unknown",)),
        ({"image": []}, ("image",)),
    ],
    ids=range(8),
)
def test_other_fields_that_cannot_be_used_are_named(taught, changed, place):
    response = taught.post("/predict", json={**query("ring"), **changed})
    refused(response, 422, "body", *place)


@pytest.mark.parametrize("label", ["", "x" * 201, None, 3, [], "\ud800"])
def test_a_label_is_a_text(client, label):
    sent = json.dumps({**new_class("ring"), "label": label})
    header = {"Content-Type": "application/json"}
    response = client.post("/classes", content=sent, headers=header)
    refused(response, 422, "body", "label")


def test_files_that_cannot_be_used_are_named(taught):
    files = [("files", ("a.png", drawing("ring"))), ("files", ("b", b"text"))]
    response = taught.post("/predict/files", files=files)
    refused(response, 422, "body", "files", 1)
    response = taught.post("/predict/files", files=files[:1] * 9)
    refused(response, 422, "body", "files")
    response = taught.post("/predict/files", data={"unknown": "0.1"})
    refused(response, 422, "body", "files")
    response = taught.post("/classes/files", files=files[:1])
    refused(response, 422, "body", "label")


def test_too_few_and_too_many_classes_are_a_conflict(client):
    response = client.post("/predict", json=query("ring"))
    assert "at least two classes" in refused(response, 409)
    for number in range(4):
        client.post(
            "/classes", json=new_class("bar", 2) | {"label": f"{number}"}
        )
    response = client.post("/classes", json=new_class("bar"))
    assert "At most 4 classes" in refused(response, 409)
    for _ in range(2):
        response = client.post(
            "/classes", json=new_class("bar", 7) | {"label": "1"}
        )
    assert "20 examples" in refused(response, 409)
    known = client.get("/classes").json()["classes"]
    assert known == {"0": 2, "1": 9, "2": 2, "3": 2}


def test_a_request_that_is_too_large_is_refused(client):
    sent = json.dumps({"images": ["A" * (1 << 20)]})
    response = client.post("/predict", content=sent)
    assert response.status_code == 413

    def parts():
        for _ in range(3):
            yield b" " * (1 << 19)

    # Without a length in its header.
    response = client.post("/predict", content=parts())
    assert response.status_code == 413


@pytest.mark.parametrize(
    "headers, code",
    [
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Origin": "http://localhost:8000"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
    ids=str,
)
def test_foreign_pages_cannot_use_this_machine(client, headers, code):
    found = client.get("/classes", headers=headers)
    assert found.status_code == code
    if code == 403:
        refused(found, 403, "header")


def test_the_page_describes_all_paths_and_fetches_nothing(client):
    text = client.get("/").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert f" {path}</code>" in text
    assert "http://" not in text and "https://" not in text
    assert "<script" not in text


def test_four_threads_get_the_answers_of_one(taught):
    rng = np.random.default_rng(0)
    names = np.array(["ring", "cross", "bar"])
    asked = []
    for number in range(40):
        sent = query(*rng.choice(names, rng.integers(1, 4)))
        if number % 2:
            shots = rng.integers(1, 4, 3)
            way = rng.integers(2, 4)
            sent["classes"] = [
                new_class(name, int(shot))
                for name, shot in zip(names[:way], shots, strict=False)
            ]
        asked.append(sent)

    def ask(sent):
        return taught.post("/predict", json=sent).json()

    expected = [ask(sent) for sent in asked]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert [*pool.map(ask, asked)] == expected
        # Every example counts, whoever adds it.
        sent = [{**new_class("ring", 1), "label": x} for x in "abababab"]
        for response in pool.map(
            lambda x: taught.post("/classes", json=x), sent
        ):
            assert response.status_code == 200
    known = taught.get("/classes").json()["classes"]
    assert (known["a"], known["b"]) == (4, 4)


def test_a_saved_classifier_opens_with_its_classes(model, tmp_path):
    images = np.random.default_rng(0).random((6, SIZE, SIZE))
    labels = [7, 7, 7, 3, 3, 3]
    classifier = km.FewShotClassifier(model).fit(images, labels, calibrate=True)
    classifier.save(tmp_path / "it")
    served = served_classifier.ServedClassifier(
        *served_classifier.opening("it", tmp_path / "it")
    )
    assert served.classes == {"3": 3, "7": 3}
    found = served.predict([images[0], images[5]])
    for row, answer in zip(
        classifier.predict_proba(images[[0, 5]]), found, strict=True
    ):
        expected = dict(zip("37", row.tolist(), strict=True))
        assert answer["probabilities"] == pytest.approx(expected, abs=1e-4)


def test_a_model_of_one_way_takes_that_many_classes():
    network = km.encoders.mlp((2,))
    model = km.models.MAML(network, inner_learning_rate=0.1, inner_steps=1)
    served = served_classifier.ServedClassifier(built(model, (3,)))
    rows = [np.ones(3)]
    served.add("a", rows)
    served.add("b", [np.zeros(3)])
    with pytest.raises(served_classifier.StateError, match="At most 2 classes"):
        served.add("c", rows)
    with pytest.raises(served_classifier.FieldError, match="at most 2 classes"):
        served.predict(rows, [(label, rows) for label in "abc"])
    assert len(served.predict(rows)[0]["probabilities"]) == 2


def test_other_commands_start_without_fastapi():
    script = "import sys, zoo.__main__, zoo.api_server; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "zoo.api_server" in found
    assert {"fastapi", "uvicorn", "tensorflow"}.isdisjoint(found)


def test_without_fastapi_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install \"keras-meta\[serve\]"):
        api_server.serve("prototypical_network_glyphs", "127.0.0.1", 0)

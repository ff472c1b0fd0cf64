"""The server of the demo, without a socket and without a browser."""

import base64
import importlib.util
import re
import socket
import subprocess
import sys

import numpy as np
import pytest
from demo_drawings import drawing, examples

import zoo
from zoo import demo_answers, demo_server

flask = pytest.importorskip("flask", reason="the extra `demo` is missing")


def url(file):
    return "data:image/png;base64," + base64.b64encode(file).decode()


def question(*classes, query=None):
    return {
        "classes": [
            {"name": name, "pictures": [*map(url, pictures)]}
            for name, pictures in classes
        ],
        "query": query and url(query),
    }


@pytest.fixture(scope="module")
def model():
    return zoo.load("prototypical_network_glyphs")


@pytest.fixture(scope="module")
def client(model):
    classes, hosts = (examples("ring"),), {"localhost", "::1"}
    return demo_server.make_app("mine", model, classes, hosts).test_client()


def test_the_page_and_all_that_it_names_come_from_here(client):
    with client.get("/") as response:
        html = response.get_data(as_text=True)
    assert response.headers["Content-Security-Policy"] == demo_server.POLICY
    named = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert {"/page/page.js", "/page/style.css"} < set(named)
    for name in named:
        if not name.startswith("data:"):
            with client.get(name) as response:
                assert response.status_code == 200
    for path in demo_server.PAGE.iterdir():
        addresses = re.findall(r"https?://[^\s\"'`]+", path.read_text("utf-8"))
        # The name of a language, which nobody fetches.
        assert {*addresses} <= {"http://www.w3.org/2000/svg"}


def test_the_opening_names_the_model_and_its_classes(client):
    found = client.get("/opening").get_json()
    assert (found["model"], found["drawings"]) == ("mine", True)
    (one,) = found["classes"]
    assert (one["name"], len(one["pictures"])) == ("ring", 2)
    assert found["embeds"] and found["mostClasses"] == 30
    assert all(re.fullmatch("#[0-9a-f]{6}", x) for x in found["colours"])


def test_a_model_of_one_way_takes_that_many_classes():
    model = zoo.load("maml_omniglot_5way")
    client = demo_server.make_app("maml", model).test_client()
    found = client.get("/opening").get_json()
    assert (found["mostClasses"], found["embeds"]) == (5, False)


def test_a_question_is_answered_and_learned_once(model, monkeypatch):
    learned, learn = [], demo_answers.learn

    def counting(*arguments):
        learned.append(arguments)
        return learn(*arguments)

    monkeypatch.setattr(demo_answers, "learn", counting)
    own = demo_server.make_app("mine", model).test_client()
    classes = examples("ring"), examples("cross")
    for name, place in (("ring", 0), ("cross", 1)):
        asked = question(*classes, query=drawing(name, 66))
        response = own.post("/answer", json=asked)
        found = response.get_json()
        assert response.status_code == 200 and found["label"] == place
        assert found["seen"].startswith("data:image/png;base64,")
        assert np.isfinite(found["map"]["query"]).all()
    assert len(learned) == 1


def test_an_error_is_explained(client):
    response = client.post(
        "/answer", json=question(examples("ring"), examples("ring"))
    )
    assert response.status_code == 400
    assert "called 'ring'" in response.get_json()["error"]
    response = client.post("/picture?name=notes.txt", data=b"text")
    assert response.status_code == 400
    assert response.get_json()["error"].startswith("notes.txt cannot be read")


@pytest.mark.parametrize(
    "asked",
    [
        [],
        {},
        {"classes": [{"name": "a"}], "query": None},
        {"classes": [{"name": "a", "pictures": ["x;base64,?"]}], "query": None},
        {"classes": [], "query": 3},
    ],
)
def test_a_question_of_another_form_is_refused(client, asked):
    response = client.post("/answer", json=asked)
    assert response.status_code == 400
    assert "A question must hold" in response.get_json()["error"]


def test_a_file_becomes_a_picture_of_the_page(client):
    response = client.post("/picture?name=it.png", data=drawing("bar"))
    assert response.get_json()["picture"].startswith("data:image/png;base64,")


def test_too_much_at_once_is_refused(client, monkeypatch):
    monkeypatch.setitem(client.application.config, "MAX_CONTENT_LENGTH", 10)
    response = client.post("/picture?name=it.png", data=drawing("bar"))
    assert response.status_code == 413
    assert "MB at once" in response.get_json()["error"]


@pytest.mark.parametrize(
    "host, code",
    [("localhost:8765", 200), ("[::1]:8765", 200), ("evil.example", 400)],
)
def test_a_foreign_page_cannot_pose_as_this_machine(client, host, code):
    found = client.get("/opening", headers={"Host": host})
    assert found.status_code == code


def test_other_commands_start_without_flask():
    script = "import sys, zoo.__main__, zoo.demo_server; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "zoo.demo_server" in found
    assert {"flask", "werkzeug", "tensorflow"}.isdisjoint(found)


def test_without_flask_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install \"keras-meta\[demo\]\""):
        demo_server.serve("prototypical_network_glyphs", "127.0.0.1", 0)


def test_an_address_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"Received: 127.0.0.1 and {port}"):
            demo_server.serve("prototypical_network_glyphs", "127.0.0.1", port)

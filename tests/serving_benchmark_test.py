"""The load on the server is what the benchmark says it is."""

import json

import numpy as np
import pytest

from benchmarks import serving, streaming


def test_requests_differ_in_way_shot_and_queries():
    requests = serving.draw_requests(200, np.random.default_rng(0))
    again = serving.draw_requests(200, np.random.default_rng(0))
    assert requests == again
    sizes, paths = set(), set()
    for method, path, body in requests:
        paths.add((method, path, body is None))
        sent = json.loads(body) if body else {}
        shots = {len(one["images"]) for one in sent.get("classes", ())}
        if sent:
            sizes.add(
                (len(sent.get("classes", ())), *shots, len(sent["images"]))
            )
    assert len(sizes) > 20
    assert paths == {
        ("GET", "/healthz", True),
        ("GET", "/classes", True),
        ("POST", "/predict", False),
    }


def answer(label, share):
    shares = {"a": share, "b": 1 - share}
    return {"predictions": [{"label": label, "probabilities": shares}]}


def test_answers_that_differ_are_found():
    same = answer("a", 0.75)
    assert serving.difference(same, same) == 0
    found = serving.difference(same, answer("a", 0.5))
    assert found == pytest.approx(0.25)
    assert serving.difference(same, answer("b", 0.75)) == float("inf")
    assert serving.difference(same, {"detail": []}) == float("inf")
    assert serving.difference({"ready": True}, {"ready": True}) == 0


def test_a_server_in_a_process_of_its_own_is_measured():
    row = serving.measure("prototypical_network_glyphs", 24, 4)
    assert row["errors"] == 0 and row["difference"] == 0
    assert row["p50"] <= row["p99"] and len(row["memory"]) == 3


def test_episodes_from_files_are_measured(tmp_path):
    results = streaming.measure(tmp_path / "pictures", 2000, 8, check=False)
    assert results["folder"]["per_second"] > 0
    assert results["decoded"] == pytest.approx(2000 * 32 * 32 * 3 / 2**18)
    assert len([*(tmp_path / "pictures").rglob("*.png")]) == 2000

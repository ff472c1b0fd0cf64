"""Load on `keras-meta serve`: latency, memory and whether answers are right.

A server of each model gets mixed requests from several threads: way, shot and
the number of queries change from one to the next. Their answers are compared
with those that one thread got before. `benchmarks/README.md` is the manual.
"""

import argparse
import base64
import concurrent.futures
import contextlib
import http.client
import io
import json
import pathlib
import queue
import statistics
import subprocess
import sys
import time
import urllib.parse

from benchmarks import workers

MODELS = (
    "prototypical_network_omniglot",
    "maml_omniglot_5way",
    "matching_network_fce_omniglot",
)
# A model of one way learns fewer classes too.
WAYS, SHOTS, QUERIES = (2, 5), (1, 4), (1, 6)
# Different requests, which are repeated, and the classes the server knows.
DISTINCT, KNOWN = 200, 5
SIDE = 28


def picture(rng):
    """A drawing of three random strokes as PNG in base64.

    Args:
        rng: `numpy.random.Generator`.
    """
    from PIL import Image, ImageDraw

    image = Image.new("L", (SIDE, SIDE), 255)
    points = [tuple(point) for point in rng.integers(3, 25, (4, 2)).tolist()]
    ImageDraw.Draw(image).line(points, fill=0, width=2)
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def classes(rng, way, shot):
    """Classes as a request has them.

    Args:
        rng: `numpy.random.Generator`.
        way: How many.
        shot: Examples of each.
    """
    return [
        {"label": f"class {k}", "images": [picture(rng) for _ in range(shot)]}
        for k in range(way)
    ]


def draw_requests(count, rng):
    """Requests of four kinds.

    Args:
        count: How many.
        rng: `numpy.random.Generator`.

    Returns:
        List of `(method, path, body)`; `body` is bytes, or None.
    """
    found = []
    for _ in range(count):
        kind = rng.random()
        if kind < 0.1:
            path = "/healthz" if kind < 0.05 else "/classes"
            found.append(("GET", path, None))
            continue
        asked = int(rng.integers(*QUERIES))
        sent = {"images": [picture(rng) for _ in range(asked)]}
        # The others are about the classes that the server knows.
        if kind < 0.8:
            way, shot = int(rng.integers(*WAYS)), int(rng.integers(*SHOTS))
            sent["classes"] = classes(rng, way, shot)
        found.append(("POST", "/predict", json.dumps(sent).encode()))
    return found


class Server:
    """`keras-meta serve` in a process of its own.

    Args:
        name: A preset, or the folder of a classifier.
    """

    def __init__(self, name):
        command = [sys.executable, "-m", "zoo", "serve", name, "--port", "0"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True
        )
        line = self._process.stdout.readline()
        address = line.partition(" answers at ")[2].partition(",")[0]
        if not address:
            self.close()
            raise RuntimeError(f"The server of {name} did not start: {line}")
        self.address = urllib.parse.urlsplit(address).netloc

    @property
    def memory(self):
        """MiB that it holds; None where there is no `/proc`."""
        status = pathlib.Path(f"/proc/{self._process.pid}/status")
        if not status.exists():
            return None
        held = status.read_text().partition("VmRSS:")[2]
        return int(held.split()[0]) / 1024

    def close(self):
        """Ends the process."""
        self._process.terminate()
        self._process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ask(connection, request):
    """Sends a request.

    Args:
        connection: `http.client.HTTPConnection`, kept open.
        request: As `draw_requests` makes it.

    Returns:
        `(status, answer, seconds)`.
    """
    method, path, body = request
    began = time.perf_counter()
    headers = {"Content-Type": "application/json"} if body else {}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    return response.status, answer, time.perf_counter() - began


def ask_all(address, requests, threads):
    """Sends requests from several threads, each with a connection.

    Args:
        address: Host and port.
        requests: List.
        threads: How many.

    Returns:
        List of what `ask` returned, in the order of the requests.
    """
    waiting, found = queue.SimpleQueue(), [None] * len(requests)
    for place in range(len(requests)):
        waiting.put(place)

    def work():
        connection = http.client.HTTPConnection(address, timeout=600)
        with contextlib.closing(connection), contextlib.suppress(queue.Empty):
            while True:
                place = waiting.get_nowait()
                found[place] = ask(connection, requests[place])

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work) for _ in range(threads)]:
            future.result()
    return found


def difference(answer, expected):
    """The largest difference of two answers.

    Args:
        answer, expected: What JSON held.

    Returns:
        That of their probabilities; infinite if anything else differs.
    """
    if "predictions" not in answer or "predictions" not in expected:
        return 0.0 if answer == expected else float("inf")
    pairs = [*zip(answer["predictions"], expected["predictions"], strict=True)]
    if any(one["label"] != other["label"] for one, other in pairs):
        return float("inf")
    return max(
        abs(share - other["probabilities"][label])
        for one, other in pairs
        for label, share in one["probabilities"].items()
    )


def measure(name, count, threads, seed=0):
    """Puts load on the server of one model.

    Args:
        name: A preset.
        count: How many requests.
        threads: How many threads send them.
        seed: Of the requests.

    Returns:
        Dict of what `report` prints.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    distinct = draw_requests(min(DISTINCT, count), rng)
    order = rng.integers(0, len(distinct), count).tolist()
    with Server(name) as server:
        with contextlib.closing(
            http.client.HTTPConnection(server.address, timeout=600)
        ) as one:
            for new in classes(rng, KNOWN, 2):
                ask(one, ("POST", "/classes", json.dumps(new).encode()))
        expected = ask_all(server.address, distinct, 1)
        # What every thread needs once is no growth.
        ask_all(server.address, distinct, threads)
        memory = [server.memory]
        began = time.perf_counter()
        half = count // 2
        found = ask_all(
            server.address, [distinct[k] for k in order[:half]], threads
        )
        memory.append(server.memory)
        found += ask_all(
            server.address, [distinct[k] for k in order[half:]], threads
        )
        seconds = time.perf_counter() - began
        memory.append(server.memory)
    posts = [
        1e3 * taken
        for (_, _, taken), place in zip(found, order, strict=True)
        if distinct[place][0] == "POST"
    ]
    cuts = statistics.quantiles(posts, n=100)
    return {
        "requests": count,
        "errors": sum(status != 200 for status, _, _ in found),
        "difference": max(
            difference(answer, expected[place][1])
            for (_, answer, _), place in zip(found, order, strict=True)
        ),
        "per_second": count / seconds,
        "p50": cuts[49],
        "p99": cuts[98],
        "memory": memory,
    }


def report(results):
    """Prints the table.

    Args:
        results: Dict of what `measure` returned, by model.
    """
    rows = [
        [
            name,
            f"{row['requests']:,}",
            str(row["errors"]),
            f"{row['difference']:.1g}",
            f"{row['per_second']:.0f}",
            f"{row['p50']:.0f}",
            f"{row['p99']:.0f}",
            *("-" if held is None else f"{held:.0f}" for held in row["memory"]),
        ]
        for name, row in results.items()
    ]
    header = ["model", "requests", "errors", "difference", "per s"]
    header += ["p50 ms", "p99 ms", "MiB", "half", "end"]
    workers.print_table(header, rows)


def main(arguments=None):
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="NAME", nargs="+", default=MODELS)
    parser.add_argument("--requests", metavar="N", type=int, default=10_000)
    parser.add_argument("--threads", metavar="N", type=int, default=4)
    parser.add_argument("--json", metavar="FILE", help="where results go")
    options = parser.parse_args(arguments)
    facts = workers.machine()
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    results = {}
    for name in options.only:
        results[name] = measure(name, options.requests, options.threads)
        print(f"{name} is done", flush=True)
    report(results)
    workers.write_json(options.json, {"machine": facts, "results": results})


if __name__ == "__main__":
    main()

"""Drives the demo in headless Chromium; run it to draw the README's picture.

python tests/demo_browser.py examples/demo.png [--width 1360]
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
# Drawings as strokes, lists of points in [0, 1] from the upper left.
CIRCLE = [
    [
        (0.5 + 0.3 * math.cos(turn / 4), 0.5 + 0.3 * math.sin(turn / 4))
        for turn in range(26)
    ]
]
CROSS = [[(0.2, 0.22), (0.8, 0.8)], [(0.78, 0.2), (0.22, 0.78)]]
ZIGZAG = [[(0.15, 0.7), (0.35, 0.3), (0.5, 0.7), (0.68, 0.3), (0.85, 0.7)]]


def why_not():
    """Why the demo cannot be tested here, in words; empty if it can."""
    for module, pip in (("flask", "demo"), ("selenium", "test")):
        try:
            __import__(module)
        except ImportError:
            return f"{module} is missing: the extra `{pip}` brings it"
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            return f"{program} is missing: Debian's chromium-driver brings it"
    return ""


@contextlib.contextmanager
def served(*arguments):
    """Runs `keras-meta demo` on a free port and ends it as Ctrl-C does.

    Args:
        arguments: More arguments of the command.

    Yields:
        The address that it prints.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", "demo", *arguments, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # Not in the process group of the tests.
        start_new_session=True,
    )
    with process:
        try:
            line = process.stdout.readline()
            assert " is at http://" in line, line
            yield line.split()[-1]
        finally:
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert rest.splitlines()[-1] == "Ended."


@contextlib.contextmanager
def browser(width=1360, height=600):
    """Chromium, which finds no host but this machine and logs its requests.

    Args:
        width, height: Its window, in pixels.

    Yields:
        A `selenium.webdriver.Chrome`.
    """
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (
        "--headless=new",
        # Containers and root allow no sandbox; the page is our own.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options, service)
    try:
        resize(driver, width, height)
        yield driver
    finally:
        driver.quit()


def resize(driver, width, height):
    """Gives the page a size; a window cannot be as narrow as a phone."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {
            "width": width,
            "height": height,
            "mobile": False,
            "deviceScaleFactor": 1,
        },
    )


def requests(driver):
    """The addresses that the page has asked for since the last call."""
    messages = [
        json.loads(entry["message"])["message"]
        for entry in driver.get_log("performance")
    ]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def draw(driver, canvas, strokes, turned=0.0, moved=0.0):
    """Draws with the mouse.

    Args:
        driver: What `browser` yielded.
        canvas: The element.
        strokes: Lists of points in [0, 1].
        turned: Angle in radians.
        moved: How far to the right, as a share of the canvas.
    """
    from selenium.webdriver import ActionChains

    driver.execute_script(
        "arguments[0].scrollIntoView({block: 'center'})", canvas
    )
    width, height = canvas.size["width"], canvas.size["height"]
    actions = ActionChains(driver, duration=10)
    cos, sin = math.cos(turned), math.sin(turned)
    for stroke in strokes:
        for number, (x, y) in enumerate(stroke):
            x, y = x - 0.5, y - 0.5
            x, y = cos * x - sin * y + moved, sin * x + cos * y
            actions.move_to_element_with_offset(
                canvas, round(x * width), round(y * height)
            )
            if number == 0:
                actions.click_and_hold()
        actions.release()
    actions.perform()


def add_example(driver, place, strokes, **changes):
    """Draws an example of a class and adds it."""
    card = cards(driver)[place]
    draw(driver, card.find_element("tag name", "canvas"), strokes, **changes)
    card.find_element("css selector", ".add").click()


def cards(driver):
    """The elements of the classes."""
    return driver.find_elements("css selector", ".class")


def rename(driver, place, name):
    """Gives a class another name."""
    field = cards(driver)[place].find_element("css selector", ".title input")
    field.clear()
    field.send_keys(name)


def ask(driver, strokes, **changes):
    """Draws the new picture."""
    canvas = driver.find_element("css selector", "#query canvas")
    draw(driver, canvas, strokes, **changes)


def wait_for(driver, condition):
    """Waits until a function of the driver returns something true."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, 120).until(condition)


def text(driver, name):
    """The text of the element of that id; empty if it is hidden."""
    return driver.find_element("id", name).text


def fill(driver):
    """Teaches three classes with three examples each, and asks."""
    wait_for(driver, lambda found: len(cards(found)) == 2)
    driver.find_element("id", "add-class").click()
    named = {"circle": CIRCLE, "cross": CROSS, "zigzag": ZIGZAG}
    for place, (name, strokes) in enumerate(named.items()):
        rename(driver, place, name)
        for turned in (-0.25, 0.0, 0.2):
            add_example(driver, place, strokes, turned=turned)
    ask(driver, ZIGZAG, turned=0.1, moved=0.03)
    wait_for(driver, lambda found: text(found, "label") == "zigzag")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--width", type=int, default=1360)
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    with served() as address, browser(options.width) as driver:
        driver.get(address)
        fill(driver)
        driver.execute_script("scrollTo(0, 0); document.activeElement.blur()")
        height = driver.execute_script("return document.body.scrollHeight")
        resize(driver, options.width, height)
        driver.save_screenshot(str(options.output))
    print(f"Wrote {options.output}")


if __name__ == "__main__":
    main()

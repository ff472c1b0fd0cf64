"""The page of the demo in a browser, from a drawing to its label."""

import demo_browser
import pytest
from demo_browser import CIRCLE, CROSS, add_example, text, wait_for

REASON = demo_browser.why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.fixture(scope="module")
def driver():
    with demo_browser.served() as address:
        with demo_browser.browser() as driver:
            driver.get(address)
            wait_for(driver, lambda found: text(found, "missing"))
            yield driver


def test_two_drawn_classes_classify_a_third_drawing(driver):
    assert text(driver, "missing").startswith("No classes yet")
    demo_browser.rename(driver, 0, "round")
    add_example(driver, 0, CIRCLE)
    wait_for(driver, lambda found: "'round'" in text(found, "missing"))
    add_example(driver, 1, CROSS, turned=0.2)
    wait_for(driver, lambda found: "new picture" in text(found, "missing"))
    demo_browser.ask(driver, CROSS)
    wait_for(driver, lambda found: text(found, "label") == "class 2")
    assert text(driver, "confidence").endswith("% sure")
    near = driver.find_elements("css selector", "#nearest figcaption")
    assert near[0].text.startswith("class 2") and len(near) == 2
    # Both examples and the new drawing.
    assert len(driver.find_elements("css selector", "#map image")) == 3
    driver.find_element("id", "clear").click()
    wait_for(driver, lambda found: "new picture" in text(found, "missing"))
    demo_browser.ask(driver, CIRCLE, moved=0.1)
    wait_for(driver, lambda found: text(found, "label") == "round")


def test_a_file_that_is_no_picture_is_named_and_a_picture_is_added(
    driver, tmp_path
):
    (tmp_path / "notes.txt").write_text("no picture")
    canvas = driver.find_element("css selector", "#query canvas")
    (tmp_path / "scan.png").write_bytes(canvas.screenshot_as_png)
    card = demo_browser.cards(driver)[0]
    before = len(card.find_elements("css selector", ".thumb"))
    chooser = card.find_element("css selector", "input[type=file]")
    chooser.send_keys(f"{tmp_path}/notes.txt\n{tmp_path}/scan.png")
    wait_for(driver, lambda found: "notes.txt" in text(found, "problem"))
    wait_for(
        driver,
        lambda _: (
            len(card.find_elements("css selector", ".thumb")) == before + 1
        ),
    )


def test_the_page_fits_a_phone(driver):
    demo_browser.resize(driver, 360, 700)
    width = driver.execute_script("return document.body.scrollWidth")
    demo_browser.resize(driver, 1360, 600)
    assert width <= 360


def test_nothing_was_asked_of_another_machine(driver):
    """Last: these are the requests of all tests of this file."""
    asked = demo_browser.requests(driver)
    origin = driver.execute_script("return location.origin")
    assert any(url == f"{origin}/answer" for url in asked)
    assert [
        url for url in asked if not url.startswith((f"{origin}/", "data:"))
    ] == []
    # Nor tried: the browser writes down what the page's policy forbids.
    assert [
        entry["message"]
        for entry in driver.get_log("browser")
        if "Content Security Policy" in entry["message"]
    ] == []

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from reported import HEBREW, HOSTILE
from stage_process import wait_until
from sweeps import SWEPT, experiments_of
from tools.report import sweep

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)
CHARTS = {"learning_curves": 8, "throughput": 4}


@pytest.fixture(scope="module")
def chrome() -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromedriver are not installed: the report is not tested in a browser")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        yield browser
        browser.quit()


def open_page(chrome: webdriver.Chrome, path: Path, width: int = 1280, scheme: str = "light") -> None:
    """Load the page from the disk into a window of that width and wait for its charts."""
    phone = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    preferred = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", preferred)
    chrome.get("about:blank")
    chrome.get_log("browser")
    chrome.get_log("performance")
    chrome.get(path.resolve().as_uri())
    wait_until(lambda: not chrome.find_elements(By.CSS_SELECTOR, ".chart:not([data-drawn])"))


@pytest.fixture
def page(chrome: webdriver.Chrome, reported: Path) -> webdriver.Chrome:
    open_page(chrome, reported / "report/index.html")
    return chrome


def requests(chrome: webdriver.Chrome) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in chrome.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith(("data:", "about:"))]


def lines(chart: WebElement) -> int:
    return len(chart.find_elements(By.CSS_SELECTOR, "svg .mark-line path"))


def test_the_page_needs_nothing_but_itself(page, reported):
    assert requests(page) == [(reported / "report/index.html").resolve().as_uri()]
    assert page.get_log("browser") == []


def test_every_chart_is_drawn_and_has_words_and_a_table(page):
    for name, drawn in CHARTS.items():
        figure = page.find_element(By.ID, name)
        chart = figure.find_element(By.CSS_SELECTOR, ".chart")
        assert lines(chart) == drawn, name
        assert chart.size["width"] > 900
        assert chart.aria_role == "image"
        assert chart.accessible_name.startswith(figure.find_element(By.XPATH, "preceding-sibling::h2").text)
        assert len(figure.find_elements(By.CSS_SELECTOR, "details table tbody tr")) >= 3
    picture = page.find_element(By.CSS_SELECTOR, "#generalisation img")
    assert page.execute_script("return arguments[0].naturalWidth", picture) > 500
    cells = page.find_elements(By.CSS_SELECTOR, "#generalisation details td")
    assert len(cells) == 12, "three splits, two models, here and at the base"


def test_the_values_are_those_of_the_metrics(page, reported):
    evaluate = json.loads((reported / "metrics/evaluate.json").read_text(encoding="utf-8"))
    cells = page.find_elements(By.CSS_SELECTOR, ".headline tbody tr:nth-child(2) td b")
    assert [cell.text for cell in cells] == [
        f"{evaluate[model]['valid']['perplexity']:.2f}" for model in ("scratch", "concise")
    ]
    changes = [cell.text for cell in page.find_elements(By.CSS_SELECTOR, ".headline tbody tr:nth-child(2) .change")]
    assert changes == ["▼ 20.0% better than 15.62", "▼ 20.0% better than 11.72"]
    rows = page.find_elements(By.CSS_SELECTOR, "#generalisation details tbody tr")
    for row, split in zip(rows, ("train", "valid", "test"), strict=True):
        values = [
            f"{evaluate[model][split]['perplexity'] * base:.4f}"
            for base in (1, 1.25)
            for model in ("scratch", "concise")
        ]
        assert [cell.get_property("textContent") for cell in row.find_elements(By.TAG_NAME, "td")] == values


def test_hovering_shows_the_values_of_an_epoch(page, reported):
    chart = page.find_element(By.CSS_SELECTOR, "#learning_curves .chart")
    page.execute_script("arguments[0].scrollIntoView()", chart)
    ActionChains(page).move_to_element(chart).move_by_offset(5, 5).perform()
    tip = page.find_element(By.ID, "vg-tooltip-element")
    wait_until(tip.is_displayed)
    shown = dict(row.text.rsplit(" ", 1) for row in tip.find_elements(By.TAG_NAME, "tr"))
    curve = (reported / "plots/curve_scratch.tsv").read_text(encoding="utf-8").splitlines()
    epoch, train = curve[int(shown["epoch"])].split("\t")
    assert epoch == shown["epoch"]
    assert float(shown["from scratch, train"]) == pytest.approx(float(train), rel=1e-5)
    assert shown["from scratch, train (base)"] != shown["from scratch, train"]


def test_a_keyboard_can_zoom_and_come_back(page):
    figure = page.find_element(By.ID, "learning_curves")
    status = figure.find_element(By.CSS_SELECTOR, "[role=status]")

    def press(label: str) -> str:
        before = axis()
        figure.find_element(By.CSS_SELECTOR, f"[aria-label='{label}']").send_keys(Keys.ENTER)
        wait_until(lambda: axis() != before)
        return status.text

    def axis() -> set[str]:
        return {text.text for text in figure.find_elements(By.CSS_SELECTOR, ".role-axis-label text")}

    whole = axis()
    assert press("Zoom in") == "epochs 16 to 45"
    assert press("Later epochs") == "epochs 31 to 60"
    assert press("All epochs") == ""
    assert axis() == whole


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(chrome, reported, scheme):
    open_page(chrome, reported / "report/index.html", width=390, scheme=scheme)
    assert chrome.execute_script("return document.documentElement.scrollWidth") == 390
    for svg in chrome.find_elements(By.CSS_SELECTOR, ".chart svg"):
        assert svg.size["width"] <= 358
    for details in chrome.find_elements(By.CSS_SELECTOR, "details"):
        details.find_element(By.TAG_NAME, "summary").click()
    assert chrome.execute_script("return document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(chrome, reported, scheme):
    open_page(chrome, reported / "report/index.html", scheme=scheme)
    styles = chrome.execute_script(
        "return [...document.querySelectorAll('main *')].filter(e => !e.closest('svg') && "
        "[...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())).map(e => {"
        "let b = e; while (getComputedStyle(b).backgroundColor == 'rgba(0, 0, 0, 0)' && b.parentElement) "
        "b = b.parentElement;"
        "return [e.textContent.slice(0, 30), getComputedStyle(e).color, getComputedStyle(b).backgroundColor]})"
    )
    assert len(styles) > 100
    for text, ink, paper in styles:
        light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ink, paper)
    label = chrome.find_element(By.CSS_SELECTOR, "#throughput .role-axis-label text")
    assert (luminance(label.value_of_css_property("fill")) > 0.5) == (scheme == "dark")


def luminance(colour: str) -> float:
    """WCAG's relative luminance of a CSS colour such as rgb(1, 2, 3)."""
    channels = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_hostile_text_stays_text(page):
    assert page.find_elements(By.CSS_SELECTOR, "img[src=x]") == []
    shown = page.find_element(By.TAG_NAME, "main").get_property("textContent")
    assert shown.count(HOSTILE) >= 4, "a prefix, a parameter, a generated text, a metric, a commit's subject"


def test_text_from_right_to_left_begins_at_the_right(page):
    directions = {
        element.text.strip(): element.value_of_css_property("direction")
        for element in page.find_elements(By.TAG_NAME, "pre")
    }
    assert directions[HEBREW] == "rtl"
    assert {direction for text, direction in directions.items() if text != HEBREW} == {"ltr"}
    heading = page.find_element(By.XPATH, f"//bdi[.='{HEBREW}']")
    assert heading.value_of_css_property("unicode-bidi") == "isolate"


def test_a_sweep_is_drawn_without_a_complaint(chrome, tmp_path):
    sweep.report(sweep.sweep(experiments_of(*SWEPT)), tmp_path)
    open_page(chrome, tmp_path / "sweep.html", width=390)
    assert chrome.get_log("browser") == []
    assert requests(chrome) == [(tmp_path / "sweep.html").resolve().as_uri()]
    assert chrome.execute_script("return document.documentElement.scrollWidth") == 390
    bars = chrome.find_elements(By.CSS_SELECTOR, "#sweep_validation svg .mark-rule.role-mark line")
    assert len(bars) == 6, "three choices, two models"


def test_without_scripts_the_pictures_are_there(chrome, reported):
    chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chrome.get((reported / "report/index.html").resolve().as_uri())
        pictures = chrome.find_elements(By.CSS_SELECTOR, "figure img")
        assert [picture.size["height"] > 100 for picture in pictures] == [True] * (len(CHARTS) + 2)
    finally:
        chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def expected(card: WebElement) -> list[tuple[str, dict[str, str]]]:
    """What the panel says of the token that it points at: for each model its words, the candidates and their odds."""
    tables = card.find_elements(By.CSS_SELECTOR, ".expected table")
    rows = [
        [row.find_elements(By.TAG_NAME, "td") for row in table.find_elements(By.TAG_NAME, "tr")] for table in tables
    ]
    return [
        (table.find_element(By.TAG_NAME, "caption").text, {token.text: odds.text for token, odds in cells})
        for table, cells in zip(tables, rows, strict=True)
    ]


def card_of(page: webdriver.Chrome, split: str) -> WebElement:
    card = page.find_element(By.CSS_SELECTOR, f"[data-split={split}]")
    page.execute_script("arguments[0].scrollIntoView()", card)
    return card


def told(place: int) -> list[tuple[str, dict[str, str]]]:
    bits = f"{place % 14 + 0.25:.2f} bits"
    return [(f"{name}: {bits}", {"␣": "0.500", HOSTILE[place]: "0.250"}) for name in ("from scratch", "torch.nn.LSTM")]


def test_pointing_at_a_token_shows_what_each_model_expected(page):
    assert expected(card_of(page, "train")) == told(0)
    card = card_of(page, "valid")
    tokens = card.find_elements(By.CSS_SELECTOR, ".tokens[data-model=concise] span")
    ActionChains(page).move_to_element(tokens[5]).perform()
    assert expected(card) == told(5)
    here = card.find_elements(By.CSS_SELECTOR, "[data-here]")
    assert [token.text for token in here] == [HOSTILE[5]] * 2, "in both texts"


def test_a_touch_shows_what_each_model_expected(chrome, reported):
    open_page(chrome, reported / "report/index.html", width=390)
    card = card_of(chrome, "train")
    token = card.find_elements(By.CSS_SELECTOR, ".tokens span")[9]
    chrome.execute_script("arguments[0].scrollIntoView({block: 'center'})", token)
    x, y = chrome.execute_script(
        "const {left, top, width, height} = arguments[0].getBoundingClientRect();"
        "return [left + width / 2, top + height / 2]",
        token,
    )
    for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
        chrome.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    wait_until(lambda: expected(card) == told(9))


def test_a_keyboard_walks_along_the_tokens(page):
    card = card_of(page, "train")
    text = card.find_element(By.CSS_SELECTOR, ".tokens")
    text.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert expected(card) == told(2)
    card.find_element(By.CSS_SELECTOR, "[aria-label='Next token']").send_keys(Keys.ENTER)
    assert expected(card) == told(3)
    assert card.find_element(By.CSS_SELECTOR, ".expected").get_attribute("role") == "status"


def test_a_unit_is_shown_along_the_passage_and_surprisal_again(page):
    def classes() -> list[str]:
        spans = page.find_elements(By.CSS_SELECTOR, "[data-split=valid] .tokens[data-model=scratch] span")
        return [span.get_attribute("class") or "" for span in spans]

    surprisal = classes()
    assert surprisal[:4] == ["shade0", "shade1", "shade2", "shade2"]
    series = Select(page.find_element(By.CSS_SELECTOR, "[data-series]"))
    series.select_by_visible_text("cell state")
    unit = Select(page.find_element(By.CSS_SELECTOR, "[data-unit=scratch]"))
    strengths = [abs(float(option.text.rsplit(" ", 1)[1].replace("\u2212", "-"))) for option in unit.options]
    assert strengths == sorted(strengths, reverse=True)
    assert len(strengths) == 3
    unit.select_by_index(2)
    assert classes()[0] == "value-4"
    assert classes()[-1] == "value4"
    card = page.find_element(By.CSS_SELECTOR, "[data-split=valid]")
    assert "; cell state of layer " in expected(card)[0][0]
    trace = card.find_element(By.CSS_SELECTOR, ".trace path").get_attribute("d") or ""
    assert trace.count(",") == len(surprisal)
    series.select_by_visible_text("surprisal")
    assert classes() == surprisal


def test_a_mark_stands_on_its_letter_and_a_line_end_is_seen(page):
    text = page.find_element(By.CSS_SELECTOR, "[data-split=valid] .tokens")
    tokens = text.find_elements(By.TAG_NAME, "span")
    mark = next(index for index, token in enumerate(tokens) if token.get_property("textContent") == "\u0301")
    assert tokens[mark].size["width"] == 0
    assert tokens[mark - 1].size["width"] == pytest.approx(tokens[0].size["width"], abs=1)
    assert text.get_property("textContent").count("↵\n") == 2
    assert HEBREW in text.get_property("textContent")


def test_the_bits_are_drawn_by_position(page):
    bars = page.find_elements(By.CSS_SELECTOR, "#surprisal_by_position svg .mark-rect path")
    assert len(bars) == 12, "three positions, two models, two splits"
    places = page.find_elements(By.CSS_SELECTOR, "#surprisal_by_position tbody th")
    assert [place.get_property("textContent") for place in places] == ["0", "1", "10+"]

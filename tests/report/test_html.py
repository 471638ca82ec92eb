"""The HTML report is one offline page: safe, accessible, and alive in a browser."""

import re
import shutil
from html.parser import HTMLParser

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.report import samples
from wsharness.report.html import render
from wsharness.results import CaseResult, Failure, Report

CHROMIUM = shutil.which("chromium")
PATIENCE = 120_000  # milliseconds: a busy machine is late
MAKERS = [samples.report, samples.hostile_report, samples.empty_report, samples.passing_report]
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.attributes = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("href", "src", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("make", MAKERS)
def test_the_page_is_well_formed_and_links_only_to_itself(make):
    page = Page(render(make()))
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert all(link.startswith("#") for link in page.links)


@pytest.mark.parametrize("make", MAKERS)
def test_only_its_own_script_and_style_are_there(make):
    text = render(make())
    page = Page(text)
    assert page.tags.count("script") == page.tags.count("style") == 1
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert re.search(r"default-src 'none'; style-src 'sha256-[\w+/=]+'; script-src 'sha256-[\w+/=]+'", text)
    assert "http" not in text.replace("http-equiv", "").replace("HTTP", "")


def test_the_matrix_leads_to_the_failures():
    text = render(samples.report())
    assert '<a class="failure" href="#f1" aria-label="/ws/chat, drop-while-broadcasting: WSH101"' in text
    assert '<a class="failure" href="#f1" aria-label="/ws/chat, drop-after-1: WSH101"' in text
    assert '<a class="warning" href="#f3" aria-label="/ws/feed, binary-for-text: WSH112"' in text
    assert '<i class="pass" role="img" aria-label="/ws/echo, drop-after-1: passed"' in text
    assert text.count('class="none"') == 4 * 5 - 10


@pytest.mark.parametrize(
    ("failures", "verdict"),
    [([samples.bare()], '<p class="verdict warning">1 warning'), ([], '<p class="verdict ">nothing ran')],
)
def test_the_verdict_is_the_worst(failures, verdict):
    assert verdict in render(Report("a:b", 0, "uvicorn", failures))


def test_several_profiles_are_several_rows():
    cases = [CaseResult("c", "/r", profile) for profile in ("uvicorn", "daphne")]
    text = render(Report("a:b", 0, "all", [], cases))
    assert "/r (uvicorn)</th>" in text
    assert "/r (daphne)</th>" in text


def test_failures_stand_before_warnings():
    assert re.findall(r'<article id="f\d" class="(\w+)">', render(samples.report())) == [
        "failure",
        "failure",
        "warning",
        "warning",
    ]


def test_what_was_expected_stands_beside_what_came():
    failure = Failure("WSH501", "expectation not met", "bob: expected {'a': 1}; got '<b>'")
    text = render(Report("a:b", 0, "uvicorn", [failure]))
    assert "<dt>expected</dt><dd>{&#x27;a&#x27;: 1}</dd><dt>got</dt><dd>&#x27;&lt;b&gt;&#x27;</dd>" in text


def test_a_megabyte_does_not_make_the_page_big():
    assert len(render(samples.hostile_report())) < 200_000


def test_the_scenario_names_the_environment_instead_of_a_secret():
    text = render(samples.report())
    assert "Authorization: $(env.AUTHORIZATION)" in text
    assert samples.SECRET not in text


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("needs a chromium on the PATH")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, tmp_path):
    """Open a report; afterwards nothing may have been complained about or asked of the network."""
    complaints, requests, uris = [], [], []

    def open_page(report, **options):
        file = tmp_path / "report.html"
        file.write_text(render(report), encoding="utf-8")
        page = chromium.new_page(**options)
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        uris.append(file.as_uri())
        return page

    yield open_page
    for context in chromium.contexts:
        context.close()
    assert complaints == []
    assert requests == uris


def color(page, selector, name):
    return page.eval_on_selector(selector, f"element => getComputedStyle(element)['{name}']")


def red(value):
    r, g, b = map(int, re.findall(r"\d+", value)[:3])
    return r > 150 and r > g + 60 and r > b + 60


@pytest.mark.browser
def test_a_click_on_a_message_shows_its_payload(visit):
    page = visit(samples.report())
    step = page.locator("#f1 a.step", has_text="anyone there?").first
    payload = page.locator("#f1 .detail.open pre.payload").last
    assert not page.locator("#f1 .detail.open", has_text="anyone there?").is_visible()
    step.click()
    expect(payload).to_have_text('{"type": "say", "text": "anyone there?"}')
    expect(payload).to_be_visible()
    expect(page.locator("#f1 .detail.open")).to_have_count(1)
    expect(step).to_have_attribute("aria-current", "true")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_failing_step_and_faults_are_red(visit, scheme):
    page = visit(samples.report(), color_scheme=scheme)
    assert red(color(page, "#f1 .failing .finding", "fill"))
    assert red(color(page, "#f1 .failing .label", "fill"))
    assert red(color(page, "#f1 .fault .cross", "stroke"))
    assert not red(color(page, "#f1 .step .line", "stroke"))
    expect(page.locator("#f1 .detail.open.failing")).to_be_visible()


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_dark_is_dark_and_light_is_light(visit, scheme, dark):
    value = color(visit(samples.report(), color_scheme=scheme), "body", "backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", value)[:3]))
    assert brightness < 150 if dark else brightness > 600


@pytest.mark.browser
def test_the_keyboard_walks_through_the_steps(visit):
    page = visit(samples.report())
    shown = page.locator("#f1 .detail.open h4")
    page.locator("#f1 a.step").first.focus()
    page.keyboard.press("Enter")
    expect(shown).to_have_text("alice → app")
    page.keyboard.press("ArrowDown")
    expect(shown).to_have_text("app → alice")
    page.keyboard.press("End")
    expect(shown).to_have_text("at the app, for carol")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    expect(shown).to_have_text("alice → app")


@pytest.mark.browser
def test_the_copy_button_takes_the_scenario(visit):
    page = visit(samples.report())
    button = page.locator("#f1 button.copy")
    button.click()
    # A polled function would be evaluated by the page, whose policy rightly forbids that.
    expect(button).to_have_text(re.compile("copied|selected"))


@pytest.mark.browser
def test_hostile_text_never_runs(visit):
    page = visit(samples.hostile_report())
    for number in range(page.locator("#f1 a.step").count()):
        page.locator("#f1 a.step").nth(number).click()
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.images.length") == 0


@pytest.mark.browser
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("width", [320, 768, 1400])
def test_the_page_never_scrolls_sideways(visit, make, width):
    page = visit(make(), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_without_scripts_a_click_still_shows_the_payload(visit):
    page = visit(samples.report(), java_script_enabled=False)
    page.locator("#f1 a.step", has_text="anyone there?").first.click()
    expect(page.locator("#f1 .detail:target pre.payload").last).to_be_visible()

"""That the page can be read and pressed by everyone: contrast, sizes, names, languages."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import blameless
from tests.browser.looking import PATIENCE_MS, wait_for_silence, wait_for_state

pytestmark = pytest.mark.browser

# Texts whose contrast with what is behind them is under WCAG AA: 4.5, or 3 from 24 px on.
PALE = """() => {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const rgba = colour => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map(c => c / 255).map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
        return .2126 * x + .7152 * y + .0722 * z;
    };
    const behind = element => {
        const layers = [];
        for (let one = element; one; one = one.parentElement) {
            const style = getComputedStyle(one);
            const layer = rgba(style.backgroundColor);
            layers.push(layer);
            if (layer[3] === 1) break;
        }
        return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
    };
    const pale = new Set();
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const element = walk.currentNode.parentElement;
        const style = getComputedStyle(element);
        if (!walk.currentNode.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
        if (element.closest("script, style, noscript, .mt-pages .mt-pale, [data-testid=stIconMaterial]")) continue;
        const ground = behind(element);
        const ink = over(rgba(style.color), ground);
        const [low, high] = [light(ink), light(ground)].sort((a, b) => a - b);
        const contrast = (high + .05) / (low + .05);
        const wanted = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
        if (contrast < wanted) pale.add(`${walk.currentNode.data.trim().slice(0, 20)}: ${contrast.toFixed(2)}`);
    }
    return [...pale];
}"""
SMALL = """() => [...document.querySelectorAll("button, a[href], summary, label:has(input)")]
    .filter(one => one.checkVisibility({ visibilityProperty: true }) && !one.closest("[aria-hidden=true], [inert]"))
    .filter(one => one.getClientRects().length && !one.matches("[href='#stMain']"))
    .map(one => [one.getBoundingClientRect(), one])
    .filter(([box]) => box.width > 1 && box.right > 0 && Math.min(box.width, box.height) < 43.5)
    .map(([box, one]) => `${one.textContent || one.ariaLabel} ${one.className}: ${box.width} x ${box.height}`)"""
NAMELESS = """() => [...document.querySelectorAll("button, a[href], input, textarea, [role=button]")]
    .filter(one => one.checkVisibility({ visibilityProperty: true }))
    .filter(one => !(one.textContent.trim() || one.ariaLabel || one.title || one.labels?.length || one.placeholder))
    .map(one => one.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_can_be_read_and_pressed(browser: Browser, real_url: str, scheme: Any, width: int) -> None:
    of_page = {"viewport": {"width": width, "height": 860}, "color_scheme": scheme, "has_touch": width < 700}
    with blameless(browser, real_url, **of_page) as visit:
        page = visit.open("?hsk=1")
        faults(page, "the greeting")
        visit.say("我想喝茶")
        wait_for_state(page, 0, "done")
        page.get_by_role("button", name="Translate").click()
        expect(page.locator(".mt-translation-note")).to_be_visible(timeout=PATIENCE_MS)
        wait_for_silence(page)
        faults(page, "a reply")
        page.locator(".mt-word.is-above").first.click()
        faults(page, "a word")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Colours and marks").click()
        faults(page, "the legend")
        if width < 700:
            page.get_by_test_id("stExpandSidebarButton").click()
        page.get_by_text("Voice and display").click()
        expect(page.locator(".st-key-autoplay label")).to_be_visible(timeout=PATIENCE_MS)
        page.wait_for_timeout(400)  # the panel slides open
        faults(page, "the settings")


def faults(page: Page, where: str) -> None:
    found = {name: page.evaluate(script) for name, script in (("pale", PALE), ("small", SMALL), ("nameless", NAMELESS))}
    assert found == {"pale": [], "small": [], "nameless": []}, where


def test_each_text_names_its_language(browser: Browser, real_url: str) -> None:
    with blameless(browser, real_url) as visit:
        page = visit.open("?hsk=1")
        assert page.evaluate("document.documentElement.lang") == "en"
        expect(page.locator(".mt-opener-text").first).to_have_attribute("lang", "zh-CN")
        visit.say("我想喝茶")
        wait_for_state(page, 0, "done")
        assert page.get_attribute(".mt-line", "lang") == page.get_attribute(".mt-reply", "lang") == "zh-CN"


def test_narrow_window_keeps_the_reply_on_its_page(browser: Browser, real_url: str) -> None:
    with blameless(browser, real_url, viewport={"width": 820, "height": 1000}) as visit:
        page = visit.open("?hsk=2")
        visit.say("我想喝茶")
        wait_for_state(page, 0, "done")
        pages, row = (page.locator(one).bounding_box() for one in (".mt-pages", ".mt-row"))
        assert pages is not None
        assert row is not None
        assert row["x"] + row["width"] <= pages["x"] + pages["width"]

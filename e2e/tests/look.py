"""Looks at the page as a person with a browser does: python look.py CHROMIUM URL FILE FOLDER

It gives the token of PROWL_TOKEN where the page asks for one, pastes the pull request of FILE, has it scored by the keyboard alone,
and prints what stands on the page then, for a narrow and dark screen and a wide and light one, as a line of JSON. Pictures go
to FOLDER.
"""

import json
import os
import sys

from playwright.sync_api import sync_playwright

SCREENS = [(400, 800, "dark"), (1280, 900, "light")]
PATIENCE = 60_000
"""Milliseconds: a machine may be busy."""


def look(browser, url, document, folder, width, height, scheme):
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE)
    complaints, elsewhere = [], []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((url, "data:")) else elsewhere.append(request.url))
    page.goto(url)
    if token := os.environ.get("PROWL_TOKEN"):
        page.get_by_label("Bearer token").fill(token)
        page.get_by_role("button", name="Use it").click()
        # Before it was given, each answer was that it is missing, which a browser complains of.
        page.get_by_text("trained up to").wait_for()
        complaints.clear()

    field = page.get_by_label("GitHub’s JSON of a pull request")
    field.fill(json.dumps({"number": 1}))
    page.get_by_role("button", name="Score it").click()
    problem = page.get_by_role("alert").locator("li").first.inner_text()
    # A refusal is told by its status, and browsers complain of each.
    complaints[:] = [text for text in complaints if "422" not in text]

    field.fill(document)
    field.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#answer").wait_for()
    page.get_by_role("table", name="The last answers").wait_for()
    seen = {
        "width": width,
        "problem": problem,
        "focused": page.evaluate("document.activeElement.id"),
        "band": page.locator("#answer .band").inner_text(),
        "answer": page.locator("#answer").inner_text(),
        "reasons": page.locator("#answer .reasons p").all_inner_texts(),
        "recent": page.locator("#recent-list tbody tr").first.inner_text(),
        "drift": page.locator("#drift-content").inner_text(),
        "drifted": page.locator("#drift-content .moved").filter(has_text="drifted").count(),
        "features": page.locator("#drift-content .drift > table > tbody > tr > th > code").all_inner_texts(),
        "ground": page.evaluate("getComputedStyle(document.body).backgroundColor"),
        "overflow": page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"),
    }
    page.screenshot(path=os.path.join(folder, f"page-{width}-{scheme}.png"), full_page=True)
    page.close()
    return {**seen, "complaints": complaints, "elsewhere": elsewhere}


def main(chromium, url, file, folder):
    with open(file) as text:
        document = text.readline()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        for screen in SCREENS:
            print(json.dumps(look(browser, url, document, folder, *screen)))
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What axe finds on a page of the console, by the rules of WCAG 2.1 AA and its own."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RUN = """async (rules) => {
  const options = {resultTypes: ["violations"], ...(rules.length ? {runOnly: rules} : {})};
  const found = (await axe.run(options)).violations;
  return found.map((each) => `${each.id} ${each.nodes[0].html.slice(0, 120)}`);
}"""


def violations(page: Page, *rules: str) -> list[str]:
    """Return what breaks a rule: any, or one of some."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found: list[str] = page.evaluate(RUN, list(rules))
    return found


def shortcomings(page: Page) -> list[str]:
    """Return what is wrong with a page in either theme and at both widths."""
    problems = violations(page)
    page.emulate_media(color_scheme="dark")
    # The rest of a page is the same in the dark.
    problems += [f"{each} in the dark" for each in violations(page, "color-contrast")]
    page.emulate_media(color_scheme="light")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            problems.append(f"{wide} wide at {width}")
        cut = page.locator(".scroll").evaluate_all(
            "all => all.filter(each => each.scrollWidth > each.clientWidth).length"
        )
        if cut:
            problems.append(f"{cut} tables are cut at {width}")
    return problems

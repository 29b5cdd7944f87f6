"""A visitor of a page without a mouse, who sees where the focus is."""

from playwright.sync_api import Locator, Page

MOST_TABS = 60

IS_SEEN = """() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  if (at === document.body || at.tabIndex < 0) return "";
  const words = `${at.tagName} ${at.textContent.trim().slice(0, 40)}`;
  if (!at.matches(":focus-visible")) return `${words}: not shown as focused`;
  const width = style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
  if (width < 2) return `${words}: no outline`;
  if (box.width < 1 || box.bottom < 0 || box.top > innerHeight) return `${words}: out of sight`;
  return at.tabIndex > 0 ? `${words}: out of order` : "";
}"""


class Keyboard:
    """Tab, Enter, arrows and letters. Each stop on the way has to be visible, and in order."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def reach(self, target: Locator) -> None:
        """Go to an element: from where the page has put the focus, or over the skip link."""
        target.wait_for()
        in_main = target.evaluate("each => Boolean(each.closest('main'))")
        if in_main and self.page.evaluate("document.activeElement === document.body"):
            self.page.keyboard.press("Tab")
            self.page.keyboard.press("Enter")
        for _ in range(MOST_TABS):
            trouble = self.page.evaluate(IS_SEEN)
            assert not trouble, trouble
            if target.evaluate("each => each === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{target} is not reached with {MOST_TABS} tabs.")

    def press(self, target: Locator, key: str = "Enter") -> None:
        """Follow a link, press a button, or tick a box with the space bar."""
        self.reach(target)
        self.page.keyboard.press(key)

    def fill(self, target: Locator, text: str) -> None:
        """Write into a field."""
        self.reach(target)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def choose(self, target: Locator, value: str) -> None:
        """Choose from a list with the arrows."""
        self.reach(target)
        for _ in range(20):
            if target.input_value() == value:
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"{value} is not reached with the arrows.")

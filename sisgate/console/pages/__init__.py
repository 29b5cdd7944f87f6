"""The pages, a module for each subject."""

from sisgate.console.pages import overview

ROOMS = (overview.room,)
"""All pages, in the order in which their paths are tried."""

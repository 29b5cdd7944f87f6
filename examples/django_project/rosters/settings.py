"""A Django project without a database of its own: the rosters are sisgate's."""

SECRET_KEY = "an-example"
INSTALLED_APPS = ["rosters"]
USE_TZ = True

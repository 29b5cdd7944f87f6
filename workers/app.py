"""The only module that builds at import: the `celery` command requires it."""

import sys

from sisgate.broker import celery_app
from sisgate.embedded.redis_conf import broker_url
from sisgate.errors import SisgateError
from sisgate.settings import load_settings
from workers import process_log, tasks
from workers.admission.call_tasks import CallTasks
from workers.flower.command import take_over

try:
    settings = load_settings()
except SisgateError as error:
    # A configuration mistake ends in a message, not in a traceback of the celery command.
    sys.exit(f"sisgate: {error.message}")

process_log.take_over(settings)
registry = CallTasks()
celery = celery_app(
    settings, broker_url(settings), amqp="workers.admission.consumer:AdmittingAMQP", tasks=registry
)
tasks.register(celery, settings, registry)
take_over(settings)

"""Celery's remote control where it would break a promise, or answer without saying why.

Flower's buttons send these, and `celery -A workers control`.
"""

from typing import Any

from celery.worker import control

from workers.admission.queues import POOL

celery_pool_restart = control.Panel.data["pool_restart"]
celery_autoscale = control.Panel.data["autoscale"]
celery_cancel_consumer = control.Panel.data["cancel_consumer"]


@control.control_command(
    args=[("task_name", str), ("soft", float), ("hard", float)],
    signature="<task_name> <soft_secs> [hard_secs]",
)
def time_limit(_state: Any, **_: Any) -> Any:
    """Refuse: a call that may run longer than its lease would be made twice."""
    return control.nok(
        "time limits follow from a provider's timeout_seconds and hold for the whole fleet: "
        "sisgate providers edit PROVIDER timeout_seconds=60"
    )


@control.control_command()
def pool_restart(state: Any, **arguments: Any) -> Any:
    """Restart the pool's processes, or say why not."""
    if not state.app.conf.worker_pool_restarts:
        return control.nok(
            "this worker was started without `worker.pool_restarts=true`. Shut it down instead: it "
            "finishes its calls, and what supervises it starts it again"
        )
    return celery_pool_restart(state, **arguments)


@control.control_command(args=[("max", int), ("min", int)], signature="[max [min]]")
def autoscale(state: Any, **arguments: Any) -> Any:
    """Change the bounds of the pool, or say why not."""
    if not state.consumer.controller.autoscaler:
        return control.nok(
            "this worker was started without `--autoscale=MAX,MIN`. Grow or shrink its pool instead"
        )
    return celery_autoscale(state, **arguments)


@control.control_command(args=[("queue", str)], signature="<queue>")
def cancel_consumer(state: Any, queue: str, **_: Any) -> Any:
    """Stop serving a queue, or those of a pool, in this worker; say what that means."""
    is_known = queue in state.app.amqp.queues or queue.startswith(POOL)
    reply = celery_cancel_consumer(state, queue=queue)
    reply["ok"] += (
        " in this worker; others go on. `sisgate pause` pauses a provider everywhere"
        if is_known
        else ", nor when it is configured: there is no queue of this name now"
    )
    return reply

"""The routes, by subject. Each calls one method of the gateway and shows the result.

The gateway blocks, so routes are plain functions, which FastAPI runs in threads. Coroutines are
those that wait or stream.
"""

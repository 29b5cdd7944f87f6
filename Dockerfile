# One image for workers, beat, Flower and the command line.

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/sisgate
WORKDIR /src
COPY pyproject.toml README.md LICENSE beat_schedule.py sisgate.example.toml ./
COPY locks ./locks
COPY sisgate ./sisgate
COPY workers ./workers
RUN pip install --require-hashes --requirement locks/build.txt \
    && pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/sisgate/bin/pip install --require-hashes --requirement locks/image.txt \
    && /opt/sisgate/bin/pip install --no-deps dist/*.whl \
    && ln -s lib/python3.12/site-packages/sisgate/_fleet /opt/sisgate/fleet

FROM python:3.12-slim
# A fixed number, so that volumes and secret files can be given to it.
RUN useradd --system --uid 10001 --home-dir /var/lib/sisgate --create-home sisgate
COPY --from=build /opt/sisgate /opt/sisgate
# The wheel keeps `workers` and `beat_schedule` inside of `sisgate`; `celery -A workers` finds them here.
ENV PATH=/opt/sisgate/bin:$PATH \
    PYTHONPATH=/opt/sisgate/fleet \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SISGATE_DATA_DIR=/var/lib/sisgate
USER sisgate
WORKDIR /var/lib/sisgate
# A worker of all providers, and of the planner.
CMD ["celery", "-A", "workers", "worker"]

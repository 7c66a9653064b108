# The image of everything that runs in the cluster: both APIs, the consumers, the commands and the producers.
# docker build -t customer-signals-copilot:0.1.0 .
ARG PYTHON_IMAGE=python:3.11.14-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/signals
WORKDIR /src
# Dependencies first: they change less often than the code. Only wheels, so that nothing is compiled here.
COPY requirements/ requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/bootstrap.lock \
    && uv venv "$VIRTUAL_ENV" \
    && uv pip install --require-hashes --only-binary :all: -r requirements/app.lock
COPY pyproject.toml README.md LICENSE ./
COPY shared_types/ shared_types/
COPY signals/ signals/
COPY serve_apps/ serve_apps/
COPY actors/ actors/
COPY producers/ producers/
# The build backend comes from the lock too.
RUN uv pip install --no-deps --build-constraints requirements/dev.lock .
# In a container both APIs are reached from outside it.
RUN sed 's/host: 127\.0\.0\.1/host: 0.0.0.0/' serve_apps/config.yaml > /src/serve.yaml \
    && grep -q 'host: 0\.0\.0\.0' /src/serve.yaml

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin signals
COPY --from=build /opt/signals /opt/signals
COPY --from=build /src/serve.yaml /app/serve.yaml
COPY --chmod=0755 docker/start-node /app/
COPY fixtures/scenarios/ /app/fixtures/scenarios/
# Ray and Serve as the local stack sets them; tests/unit/docs compares. Ray reads them before it starts.
ENV PATH=/opt/signals/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    OPENBLAS_NUM_THREADS=1 \
    RAY_AUTH_MODE=token \
    RAY_START_HOOK=signals.local.ray_start_hook.leave_out_client_server \
    RAY_metrics_report_interval_ms=30000 \
    RAY_worker_niceness=0 \
    RAY_task_events_report_interval_ms=10000 \
    RAY_SERVE_CONTROL_LOOP_INTERVAL_S=0.5 \
    RAY_SERVE_ENABLE_HA_PROXY=1 \
    RAY_SERVE_THROUGHPUT_OPTIMIZED=1 \
    RAY_SERVE_LOG_TO_STDERR=1 \
    RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S=0.5 \
    RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S=2 \
    RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 \
    RAY_SERVE_HAPROXY_NBTHREAD=1
USER signals
WORKDIR /app
EXPOSE 8000
ENTRYPOINT ["/app/start-node"]

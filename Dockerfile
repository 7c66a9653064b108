# check=skip=SecretsUsedInArgOrEnv;error=true
# (the one warning was RAY_AUTH_MODE, which is no secret)
# The image of everything that runs in a cluster: Ray with both APIs and the consumers, the commands, the producers.
# docker build -t customer-signals-copilot:0.1.0 .
# A tag can be moved; to pin its bytes: --build-arg PYTHON_IMAGE=python@sha256:... as `docker pull` printed it.
ARG PYTHON_IMAGE=python:3.11.14-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/signals
WORKDIR /src
# Dependencies first: they change less often than the code. Only wheels, so that nothing is compiled here.
# Ray's jars (33 MB) are for workers in Java.
COPY requirements/ requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/bootstrap.lock \
    && uv venv "$VIRTUAL_ENV" \
    && uv pip install --require-hashes --only-binary :all: -r requirements/app.lock \
    && rm -r "$VIRTUAL_ENV"/lib/python3.*/site-packages/ray/jars
COPY pyproject.toml README.md LICENSE ./
COPY shared_types/ shared_types/
COPY signals/ signals/
COPY serve_apps/ serve_apps/
COPY actors/ actors/
COPY producers/ producers/
COPY k8s/ k8s/
COPY fixtures/scenarios/ fixtures/scenarios/
# The build backend comes from the lock too.
RUN uv pip install --no-deps --build-constraints requirements/dev.lock .
# In a container both APIs are reached from outside it.
RUN sed 's/host: 127\.0\.0\.1/host: 0.0.0.0/' serve_apps/config.yaml > /src/serve.yaml \
    && grep -q 'host: 0\.0\.0\.0' /src/serve.yaml
# What Serve starts as HAProxy: its configuration is edited as on a laptop, except that it stays open to the cluster.
RUN "$VIRTUAL_ENV/bin/python" -c 'from pathlib import Path; from signals.ray_node import haproxy, variables; \
    haproxy.write_haproxy_launcher(Path(variables.IMAGE_LAUNCHER), edits=haproxy.EDITS)'

FROM ${PYTHON_IMAGE}
# KubeRay's probes of workers call wget and bash. The root file system may be read-only: all is written below /tmp.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin signals
COPY --from=build /opt/signals /opt/signals
COPY --from=build /src/serve.yaml /app/serve.yaml
COPY --chmod=0755 docker/start-node /app/
COPY fixtures/scenarios/ /app/fixtures/scenarios/
# Ray and Serve as signals/ray_node/variables.py sets them; tests/unit/docs compares. Ray reads them before it starts.
ENV PATH=/opt/signals/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    OPENBLAS_NUM_THREADS=1 \
    RAY_AUTH_MODE=token \
    RAY_START_HOOK=signals.ray_node.start_hook.leave_out \
    RAY_metrics_report_interval_ms=30000 \
    REPORTER_UPDATE_INTERVAL_MS=30000 \
    EVENT_AGENT_REPORT_INTERVAL_SECONDS=10 \
    METRICS_RECORD_INTERVAL_S=60 \
    RAY_worker_niceness=0 \
    RAY_task_events_report_interval_ms=0 \
    RAY_SERVE_CONTROL_LOOP_INTERVAL_S=0.5 \
    RAY_SERVE_ENABLE_HA_PROXY=1 \
    RAY_SERVE_THROUGHPUT_OPTIMIZED=1 \
    RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=serve_apps.http.short_road.middlewares \
    RAY_SERVE_LOG_TO_STDERR=1 \
    RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S=0.5 \
    RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S=1 \
    RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S=30 \
    RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 \
    RAY_SERVE_HAPROXY_BINARY_PATH=/opt/signals/haproxy/haproxy \
    RAY_SERVE_HAPROXY_NBTHREAD=1 \
    RAY_SERVE_HAPROXY_METRICS_ENABLED=0 \
    RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S=30 \
    RAY_SERVE_HAPROXY_RETRY_ON="conn-failure empty-response" \
    RAY_SERVE_HAPROXY_RETRIES=6 \
    RAY_SERVE_HAPROXY_OBSERVE_ERROR_LIMIT=1
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
WORKDIR /app
EXPOSE 8000
ENTRYPOINT ["/app/start-node"]

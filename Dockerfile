# One image a role, from one file: docker build --target edge|cloud|training .
# Linted by `make check`; it has not been built where it was written, which had no container engine.

FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/forewarn/bin:$PATH
# The folders below are volumes: a new volume takes their owner.
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/forewarn forewarn \
    && install -d -o forewarn /var/lib/forewarn/trust
WORKDIR /var/lib/forewarn

# Our own wheel; what it is built with comes from the pins, too.
FROM base AS build
RUN python -m venv /opt/forewarn
WORKDIR /src
COPY constraints ./constraints
COPY pyproject.toml README.md LICENSE ./
COPY forewarn ./forewarn
COPY models ./models
COPY protos ./protos
COPY edge ./edge
COPY cloud ./cloud
COPY training ./training
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes -r constraints/build.txt \
    && /opt/build/bin/python -m hatchling build -t wheel -d /wheel

FROM build AS build-edge
RUN pip install --no-cache-dir --require-hashes -r /src/constraints/edge.txt \
    && pip install --no-cache-dir --no-deps /wheel/*.whl

FROM build AS build-cloud
RUN pip install --no-cache-dir --require-hashes -r /src/constraints/cloud.txt \
    && pip install --no-cache-dir --no-deps /wheel/*.whl

# TORCH_INDEX: a package index with the build of torch that fits this machine's accelerator.
FROM build AS build-training
ARG TORCH_INDEX=
RUN pip install --no-cache-dir --no-deps --require-hashes -r /src/constraints/training.txt \
    && pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r /src/constraints/torch.txt \
    && pip install --no-cache-dir --no-deps /wheel/*.whl

FROM base AS edge
COPY --from=build-edge /opt/forewarn /opt/forewarn
USER 10001
VOLUME /var/lib/forewarn
# Every window is written to the store, so a store that nothing touched for five minutes means that nothing is measured.
HEALTHCHECK --interval=60s --timeout=5s --start-period=60s \
    CMD ["sh", "-c", "test -n \"$(find /var/lib/forewarn -type f -mmin -5 -print -quit)\""]
ENTRYPOINT ["forewarn", "--log-json"]
CMD ["edge", "run", "--config", "/etc/forewarn/edge.toml"]

FROM base AS cloud
COPY --from=build-cloud /opt/forewarn /opt/forewarn
USER 10001
VOLUME /var/lib/forewarn
EXPOSE 7443 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-c", "\
import grpc; from grpc_health.v1 import health_pb2, health_pb2_grpc; \
c = grpc.insecure_channel('127.0.0.1:7443'); \
s = health_pb2_grpc.HealthStub(c).Check(health_pb2.HealthCheckRequest(), timeout=4).status; \
raise SystemExit(s != health_pb2.HealthCheckResponse.SERVING)"]
ENTRYPOINT ["forewarn", "--log-json"]
CMD ["cloud", "serve", "--data", "/var/lib/forewarn", "--gateway", "0.0.0.0:7443", "--page", "0.0.0.0:8080"]

# A node of the Ray cluster; `forewarn train` runs inside it. It speaks to nobody without the cluster's token.
FROM base AS training
COPY --from=build-training /opt/forewarn /opt/forewarn
# The path of the token, not the token:
# hadolint ignore=DL3064
ENV RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/run/secrets/ray_token RAY_USAGE_STATS_ENABLED=0 RAY_ADDRESS=127.0.0.1:6379
USER 10001
VOLUME /var/lib/forewarn
EXPOSE 6379
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s CMD ["ray", "health-check"]
CMD ["ray", "start", "--head", "--port=6379", "--include-dashboard=false", "--block"]

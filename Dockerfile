# One file, five images: `docker build --target stream .` … Only training and evaluator carry torch.
FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/venv/bin:$PATH
RUN groupadd --system --gid 10001 imts \
 && useradd --system --uid 10001 --gid imts --home-dir /var/lib/imts --shell /usr/sbin/nologin imts \
 && mkdir -p /var/lib/imts/artifacts /var/lib/imts/data \
 && chown -R imts:imts /var/lib/imts
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir "uv==0.13.8"
ENV VIRTUAL_ENV=/opt/venv
WORKDIR /app

FROM base AS wheel
COPY . .
RUN uv build --wheel --out-dir /dist

FROM base AS service-packages
COPY requirements/service.lock requirements/
RUN uv pip install --no-cache --require-hashes -r requirements/service.lock

FROM base AS orchestrator-packages
COPY requirements/orchestrator.lock requirements/
RUN uv pip install --no-cache --require-hashes -r requirements/orchestrator.lock

FROM base AS analyzer-packages
COPY requirements/analyzer.lock requirements/
RUN uv pip install --no-cache --require-hashes -r requirements/analyzer.lock

FROM base AS engine-packages
# Triton compiles kernels with the system's compiler on first use of a GPU.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY requirements/engine.lock requirements/ppo.lock requirements/
RUN uv pip install --no-cache --require-hashes -r requirements/engine.lock \
 && uv pip install --no-cache --require-hashes --no-deps --target /opt/venv/trl-ppo -r requirements/ppo.lock

FROM orchestrator-packages AS orchestrator
COPY --from=wheel /dist /dist
RUN uv pip install --no-cache --no-deps /dist/*.whl
USER imts
WORKDIR /var/lib/imts
EXPOSE 8080
CMD ["python", "-m", "orchestrator"]

FROM service-packages AS stream
COPY --from=wheel /dist /dist
RUN uv pip install --no-cache --no-deps /dist/*.whl
USER imts
WORKDIR /var/lib/imts
EXPOSE 8004
CMD ["python", "-m", "services.stream"]

FROM analyzer-packages AS analyzer
COPY --from=wheel /dist /dist
RUN uv pip install --no-cache --no-deps /dist/*.whl
USER imts
WORKDIR /var/lib/imts
EXPOSE 8002
CMD ["python", "-m", "services.analyzer"]

FROM engine-packages AS engine
COPY --from=wheel /dist /dist
RUN uv pip install --no-cache --no-deps /dist/*.whl
USER imts
WORKDIR /var/lib/imts

FROM engine AS evaluator
EXPOSE 8003
CMD ["python", "-m", "services.evaluator"]

FROM engine AS training
EXPOSE 8001
CMD ["python", "-m", "services.training"]

# What a NAS runs: nats-server, the bridge and the publisher; no MLX. compose.yaml starts the three out of this one image.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE nats.conf ./
COPY schemas schemas
COPY bridge bridge
COPY worker worker
RUN pip wheel --no-deps --wheel-dir /dist .
RUN python -m venv --without-pip /app
RUN pip --python /app/bin/python install --only-binary=:all: "$(echo /dist/*.whl)[server]"
RUN mkdir /data

FROM python:3.13-slim
COPY --from=build /app /app
# A new volume takes its owner from here.
COPY --from=build --chown=1000:1000 /data /data
USER 1000:1000
ENV PATH=/app/bin:/usr/local/bin:/usr/bin:/bin NATS_MLX_DATA_DIR=/data NATS_MLX_LOG_FORMAT=json TMPDIR=/data
EXPOSE 4222 8787
ENTRYPOINT ["nats-mlx"]
CMD ["bridge"]

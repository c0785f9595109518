# What stands on a NAS beside the MacBook's worker: nats-server, the bridge and the publisher. No MLX.
FROM python:3.11-slim AS build
COPY . /src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /src

FROM python:3.11-slim
COPY --from=build /wheels /wheels
RUN python -m venv /opt/nats-mlx \
 && /opt/nats-mlx/bin/pip install --no-cache-dir "$(ls /wheels/*.whl)[server]" \
 && mkdir -m 777 /data
COPY nats.conf /etc/nats-mlx/nats.conf
ENV PATH=/opt/nats-mlx/bin:$PATH NATS_MLX_DATA_DIR=/data
USER 10001:10001
VOLUME /data
ENTRYPOINT ["nats-mlx"]
CMD ["bridge"]

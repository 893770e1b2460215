# The job, its worker and its deployments in one slim image, in which nothing runs as root.
#
#   docker build -t daily-forecast .
#   docker run --rm -v /srv/prices:/prices:ro -v /srv/store:/store daily-forecast run --prices /prices --output /store
FROM python:3.11-slim AS build
# Where pip finds PyTorch's builds for the CPU: --build-arg TORCH_INDEX=...  Without it pip brings CUDA's libraries along.
ARG TORCH_INDEX=""
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY forecasting forecasting
COPY flows flows
COPY deployments deployments
RUN /venv/bin/pip install --no-cache-dir -c constraints.txt '.[cloud]'

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 forecast \
    && mkdir /prices /store \
    && chown forecast:forecast /store
COPY --from=build /venv /venv
COPY constraints.txt /venv/constraints.txt
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PREFECT_LOGGING_EXTRA_LOGGERS=forecasting,daily_forecast_flows \
    PREFECT_SERVER_ANALYTICS_ENABLED=false
USER forecast
WORKDIR /home/forecast
# Work pools start `prefect flow-run execute` in the image, and a worker is `prefect worker start`; all else is the command.
ENTRYPOINT ["/bin/sh", "-c", "case \"$1\" in prefect|python) exec \"$@\" ;; *) exec daily-forecast \"$@\" ;; esac", "daily-forecast"]
CMD ["--help"]

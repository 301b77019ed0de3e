# The program in a container. Libraries are installed from requirements.lock, by hash; nothing runs as root, and the
# program writes only below /data and /tmp, so the root file system may be read-only.
ARG BASE=python:3.13.5-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/headwater
WORKDIR /source
COPY requirements.lock ./
RUN /opt/headwater/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md CHANGELOG.md config.yaml ./
COPY headwater headwater
COPY ingest ingest
COPY consumers consumers
COPY storage storage
COPY query query
RUN /opt/headwater/bin/pip install --no-deps --no-build-isolation .

FROM ${BASE}
RUN groupadd --gid 10001 headwater && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin headwater \
 && install -d -o 10001 -g 10001 /data
COPY --from=build /opt/headwater /opt/headwater
ENV PATH=/opt/headwater/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HEADWATER_DATA=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080 1883 9100
# Where this process says that it lives; the compose file sets it for each service.
ENV HEALTH_URL=http://127.0.0.1:8080/healthz
HEALTHCHECK --interval=5s --timeout=4s --start-period=120s --retries=6 \
  CMD ["python3", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['HEALTH_URL'], timeout=3)"]
ENTRYPOINT ["headwater"]
CMD ["--help"]

# The image of both apps: `python -m broker serve …` and `python -m enrichment serve …` start them. It holds no page:
# in Azure that is a Static Web App.
#
# A tag moves. Who builds for others names the bytes with --build-arg PYTHON_IMAGE=python:3.13-slim-trixie@sha256:…, as
# `docker buildx imagetools inspect python:3.13-slim-trixie` shows them; no digest stands here because none could be seen
# where this was written. The tag: https://github.com/docker-library/official-images library/python (checked 2026-11-20)
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS packages
WORKDIR /build
COPY requirements-image.lock ./
RUN python -m venv --without-pip /opt/venv \
 && python -m pip --python /opt/venv install --no-cache-dir --require-hashes --only-binary :all: -r requirements-image.lock

# What is in it, as CycloneDX; the tool that lists it stays behind. `make sbom` is where its answers are validated.
COPY requirements-sbom.lock pyproject.toml ./
RUN python -m venv --without-pip /opt/listing \
 && python -m pip --python /opt/listing install --no-cache-dir --require-hashes --only-binary :all: -r requirements-sbom.lock \
 && /opt/listing/bin/python -m cyclonedx_py environment --no-validate --output-reproducible --pyproject pyproject.toml \
    --output-file sbom.json /opt/venv/bin/python

# Modes are set because a checkout keeps its owner's; bytecode is not compared with its source, which never changes here.
FROM ${PYTHON_IMAGE} AS code
WORKDIR /app
COPY LICENSE ./
COPY broker/ broker/
COPY enrichment/ enrichment/
RUN python -m compileall -q --invalidation-mode unchecked-hash . \
 && chmod -R u=rwX,go=rX .

FROM ${PYTHON_IMAGE}
RUN install -d -m 0700 -o 10001 -g 10001 /data
COPY --from=packages /opt/venv /opt/venv
COPY --from=packages /build/sbom.json /app/sbom.json
COPY --from=code /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/data
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM

# For Docker; Container Apps asks what bicep/modules/app.bicep says. http.client, because it knows no proxy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8080, timeout=4); c.request('GET', '/health'); raise SystemExit(c.getresponse().status != 200)"]

CMD ["python", "-m", "broker", "serve", "--host", "0.0.0.0", "--port", "8080"]

ARG PYTHON_IMAGE
ARG SOURCE=unknown
ARG REVISION=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="voicelive" \
      org.opencontainers.image.description="The broker and the enrichment service" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.base.name="$PYTHON_IMAGE"

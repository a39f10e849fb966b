# archdsl with ONNX Runtime for CPUs: docker build -t archdsl .
FROM python:3.12.11-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY archdsl archdsl
COPY specs specs
RUN python -m venv /opt/archdsl \
    && /opt/archdsl/bin/pip install --no-cache-dir ".[cpu]"

FROM python:3.12.11-slim-bookworm
LABEL org.opencontainers.image.source="https://github.com/archdsl/archdsl" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/archdsl /opt/archdsl
RUN useradd --create-home --uid 1000 archdsl
ENV PATH=/opt/archdsl/bin:$PATH
USER 1000
WORKDIR /work
ENTRYPOINT ["archdsl"]
CMD ["--help"]

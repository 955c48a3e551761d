FROM python:3.12-slim

WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY sersk sersk
COPY artifacts artifacts
RUN python -m pip install --no-cache-dir ".[serve]" && rm -rf /build

# Not root: the service opens files of strangers. Hugging Face Spaces run as this number, too.
RUN useradd --create-home --uid 1000 sersk
USER sersk
WORKDIR /home/sersk

EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
CMD ["sersk", "serve", "--host", "0.0.0.0"]

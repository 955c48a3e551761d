"""Requests over HTTP -> emotions, for programs and for people."""

from importlib.util import find_spec

if any(find_spec(library) is None for library in ("fastapi", "fastapi_offline", "prometheus_client", "uvicorn")):
    raise ImportError("A service needs FastAPI and what goes with it: pip install 'sersk[serve]'")

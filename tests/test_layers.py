"""Imports run one way, and the light entry points stay light."""

from __future__ import annotations

import ast
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

PACKAGE = Path(__file__).parents[1] / "sersk"

# A module imports from the rows above its own only. Inside a package (corpora, models ...) any order without a circle.
LAYERS = [
    {"version", "plain", "audio_formats", "atomic_files", "sounds"},
    {"media_files"},
    {"sound_files", "filterbanks", "dask_backend"},
    {"raw_audio", "pitch", "distribution", "interruption"},
    {"audio", "measures"},
    {"descriptors", "functionals"},
    {"clip_values", "voice_activity", "windows"},
    {"clips", "recipes"},
    {"extraction"},
    {"clip_transformer"},
    {"features", "sequences", "normalization", "augmentation", "corpora"},
    {"models", "degradation", "feature_table"},
    {"evaluation", "archives", "stored_models"},
    {"model_reader"},
    {"persistence"},
    {"inference"},
    {"timeline"},
    {"segments"},
    {"prediction", "experiments", "benchmark_table", "clip_plots", "timeline_plots"},
    {"training", "benchmarking", "auditing", "parts"},
    {"out_of_core"},
    {"terminal", "options"},
    {"edge", "sources", "outputs"},
    {"timeline_text", "serve"},
    {"cli"},
    {"__main__"},
]
RANK = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}

# What has one home, a module or a package, so that there is one place to look for it and to replace it.
HOMES = {
    "soundfile": {"sersk.sound_files"},
    "av": {"sersk.media_files"},
    "skops": {"sersk.persistence"},
    "xgboost": {"sersk.models.boosting"},
    "typer": {"sersk.cli", "sersk.edge", "sersk.options"},
    "matplotlib": {"sersk.clip_plots", "sersk.timeline_plots", "sersk.evaluation.plots"},
    "dask": {"sersk.dask_backend", "sersk.distribution"},
    "distributed": {"sersk.dask_backend", "sersk.distribution"},
    "pyarrow": {"sersk.feature_table"},
    "fastapi": {"sersk.serve"},
    "gradio": {"sersk.serve"},
    "prometheus_client": {"sersk.serve"},
    "pydantic": {"sersk.serve"},
    "starlette": {"sersk.serve"},
    "uvicorn": {"sersk.serve"},
    "keras": {"sersk.models.keras_backend"},
    "scikeras": {"sersk.models.keras_backend"},
}

HEAVY = [
    "fastapi", "gradio", "jax", "keras", "librosa", "matplotlib", "numba", "pandas", "scipy", "skops", "sklearn",
    "uvicorn", "xgboost",
]  # fmt: skip

# What the default model does not need for a prediction: other models, training, evaluation, made-up speech, and skops,
# which imports all of scikit-learn.
NOT_TO_PREDICT = {
    "keras", "librosa", "matplotlib", "numba", "scipy.signal", "sersk.corpora.loading", "sersk.models.registry",
    "skops", "sklearn.calibration", "sklearn.ensemble", "sklearn.linear_model", "sklearn.metrics",
    "sklearn.model_selection", "sklearn.neural_network", "sklearn.svm", "sklearn.tree", "xgboost",
}  # fmt: skip


def module_name(path: Path) -> str:
    return ".".join(("sersk", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(name: str) -> set[str]:
    """Absolute names of all modules that one module imports, inside functions too."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: -(node.level - 1) or None] if node.level else []
            origin = ".".join([*parents, *([node.module] if node.module else [])])
            # A name from a package may be a module; one from sersk itself is, or it is lazy and hides its layer.
            members = {f"{origin}.{alias.name}" for alias in node.names}
            found |= {member if member in MODULES or origin == "sersk" else origin for member in members}
    return found


def layer(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"sersk"}))
def test_a_module_imports_only_from_the_layers_above_it(name):
    assert layer(name) in RANK, f"{name} has no place yet: add it to LAYERS, below all that it imports"
    for other in imported(name) - {"sersk.__version__"}:
        if other.split(".")[0] != "sersk":
            continue
        assert other in MODULES.keys() - {"sersk"}, f"{name} imports {other}: name the module that it lies in"
        if layer(other) != layer(name):
            assert RANK[layer(other)] < RANK[layer(name)], f"{name} must not import {other}"


def test_no_imports_in_a_circle():
    graph = {name: {other for other in imported(name) if other in MODULES} for name in MODULES}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError with the circle


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_in_its_home_only(library):
    importers = {name for name in MODULES if any(other.split(".")[0] == library for other in imported(name))}
    strangers = {name for name in importers if not any(f"{name}.".startswith(f"{home}.") for home in HOMES[library])}
    assert not strangers


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("import sersk", id="import"),
        pytest.param("from sersk.cli import app; app(['--help'], standalone_mode=False)", id="help"),
        pytest.param("from sersk.cli import app; app(['fit', '--help'], standalone_mode=False)", id="fit-help"),
        pytest.param("from sersk.cli import app; app(['serve', '--help'], standalone_mode=False)", id="serve-help"),
        pytest.param("from sersk.cli import app; app(['--version'], standalone_mode=False)", id="version"),
    ],
)
def test_light_entry_points_import_nothing_heavy(statement):
    # The cost of a start is what it imports; seconds would depend on the machine.
    code = f"import json, sys\ntry: {statement}\nexcept SystemExit as end: assert not end.code\n"
    code += "print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not set(HEAVY) & set(json.loads(done.stdout.splitlines()[-1]))


def test_models_without_networks_do_not_import_keras():
    code = "import sys, sersk.models, sersk.persistence; print({'keras', 'scikeras', 'jax'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_prediction_imports_what_it_needs_only(tmp_path):
    sf.write(tmp_path / "clip.wav", np.sin(np.arange(8000) / 10), 16000)
    # Some of it comes with scikit-learn's versions, whoever imports them.
    code = f"""if True:
        import json, sys, sklearn.pipeline, sklearn.preprocessing
        theirs = {{*sys.modules}}
        from sersk.cli import app
        app(["predict", {str(tmp_path / "clip.wav")!r}], standalone_mode=False)
        print(json.dumps([*{{*sys.modules}} - theirs]))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line, modules = done.stdout.splitlines()
    assert line.startswith(str(tmp_path / "clip.wav"))
    assert not NOT_TO_PREDICT & set(json.loads(modules))

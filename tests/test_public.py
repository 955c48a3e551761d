"""Every public name keeps the promises of its documentation, found by enumeration so that none is forgotten."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest
from conftest import must_have_extras, needs_keras
from numpydoc.validate import get_validation_checks, validate
from packaging.requirements import Requirement
from packaging.version import Version
from sklearn.base import BaseEstimator, clone

import sersk

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# The linter in .ci/run reads source, so two checks are beyond it; here the objects themselves are at hand.
VALIDATION = PYPROJECT["tool"]["numpydoc_validation"]
CHECKS = get_validation_checks(set(VALIDATION["checks"])) | {"PR02", "RT01", "GL08"}


def import_if_installed(name: str) -> list[ModuleType]:
    """Import a module, unless it needs an extra that is not there."""
    try:
        return [importlib.import_module(name)]
    except ImportError as error:
        if must_have_extras() or "pip install 'sersk[" not in str(error):
            raise
        return []


MODULES = [
    module
    for found in pkgutil.walk_packages(sersk.__path__, "sersk.")
    if not found.name.endswith("__main__")  # importing it would run it
    for module in import_if_installed(found.name)
]
# Every class and function that lies in a module under a name without underscore, the public ones among them.
OBJECTS = {
    f"{module.__name__}.{name}": thing
    for module in MODULES
    for name, thing in vars(module).items()
    if not name.startswith("_")
    and getattr(thing, "__module__", None) == module.__name__
    and (inspect.isclass(thing) or inspect.isfunction(thing))
}
CLASSES = [thing for thing in OBJECTS.values() if inspect.isclass(thing)]
# Those that others here are made of are no estimators yet: their parameters are their children's.
ESTIMATORS = {
    name: thing
    for name, thing in OBJECTS.items()
    if thing in CLASSES and issubclass(thing, BaseEstimator) and not any(thing in one.__mro__[1:] for one in CLASSES)
}


def methods(cls: type) -> list[str]:
    """Names of the public methods and properties that sersk, not a base class of others, defines."""
    own = [base for base in cls.__mro__ if base.__module__.startswith("sersk")]
    return sorted(
        {
            name
            for base in own
            for name, member in vars(base).items()
            if not name.startswith("_")
            and (isinstance(member, property) or callable(getattr(cls, name)))
            # scikit-learn adds set_fit_request and the like to our classes, with its own docstrings
            and getattr(getattr(cls, name), "__module__", "sersk").startswith("sersk")
        }
    )


MEMBERS = [f"{name}.{member}" for name, thing in OBJECTS.items() if inspect.isclass(thing) for member in methods(thing)]
DOCUMENTED = sorted(name for name in [*OBJECTS, *MEMBERS] if not re.search("|".join(VALIDATION["exclude"]), name))


def test_the_public_names_are_those_of_the_stub():
    stub = ast.parse((ROOT / "sersk" / "__init__.pyi").read_text(encoding="utf-8"))
    aliases = [alias for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    # `load as load` is what makes a name of a stub public to type checkers.
    assert [alias.asname for alias in aliases] == [alias.name for alias in aliases]
    assert sorted(alias.name for alias in aliases) == sorted(sersk.__all__)
    assert set(sersk.__all__) <= set(dir(sersk))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=needs_keras if name.startswith("Keras") else ())
        for name in sorted({*sersk.__all__} - {"__version__"})
    ],
)
def test_a_public_name_lies_in_sersk_and_has_a_runnable_example(name):
    thing = getattr(sersk, name)
    assert f"{thing.__module__}.{thing.__name__}" in OBJECTS
    doc = inspect.getdoc(thing)
    assert "Examples\n--------" in doc
    examples = doctest.DocTestParser().get_examples(doc)
    assert examples
    assert not any(doctest.SKIP in example.options for example in examples)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_docstrings_follow_numpydoc(name):
    errors = [f"{code}: {message}" for code, message in validate(name)["errors"] if code in CHECKS]
    assert not errors, f"{name}\n" + "\n".join(errors)


# What scikeras stores besides; nothing of it is a parameter of ours, and each is refused by fit.
OF_SCIKERAS = {"model", "build_fn", "loss", "warm_start", "validation_split", "validation_batch_size", "shuffle"}
OF_SCIKERAS |= {"run_eagerly", "_user_params"}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_store_their_parameters_and_declare_what_each_may_be(name):
    estimator = ESTIMATORS[name]
    # "kwargs", of parameters that go with a network, is one that fits no network: it is stored, too.
    parameters = {key: f"any value of {key}" for key in inspect.signature(estimator).parameters}
    made = estimator(**parameters)
    stored = {key: value for key, value in vars(made).items() if "Keras" not in name or key not in OF_SCIKERAS}
    assert stored == parameters, "__init__ stores what it is given, unchecked and unchanged, and nothing else"
    assert made.get_params(deep=False) == parameters
    assert clone(made).get_params(deep=False) == parameters
    assert estimator._parameter_constraints.keys() == parameters.keys() - {"kwargs"}


def test_the_lowest_versions_are_the_lower_bounds():
    project = PYPROJECT["project"]
    extras = [requirements for extra, requirements in project["optional-dependencies"].items() if extra != "lint"]
    wanted = [Requirement(text) for text in chain(project["dependencies"], *extras)]
    bounds = {
        r.name: min(Version(part.version.removesuffix(".*")) for part in r.specifier)
        for r in wanted
        if r.name != "sersk"
    }
    bounds["jaxlib"] = bounds["jax"]  # whose other half it is: pip would take a newer one, which does not fit
    pins = [line.split("==") for line in (ROOT / "tests" / "constraints-lowest.txt").read_text().split()]
    assert {name: Version(pin) for name, pin in pins} == bounds


def test_the_version_is_told_alike_everywhere():
    told = PYPROJECT["project"]["version"]
    assert sersk.__version__ == version("sersk") == told, "reinstall: the metadata is of another version"
    assert f"\nversion: {told}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{told}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


EXTRAS = """if True:
    import importlib.util
    import pytest

    def test_that_needs_an_extra():
        pytest.importorskip("no_such_library", reason="needs an extra: pip install 'sersk[keras]'")

    def test_that_needs_a_library():
        pytest.importorskip("no_such_library")

    @pytest.mark.skipif(True, reason="needs an extra: pip install 'sersk[plot]'")
    def test_that_is_marked():
        pass

    @pytest.mark.skipif(True, reason="Windows has no such names")
    def test_of_another_system():
        pass

    @pytest.mark.xfail(reason="expected: could not import")
    def test_that_fails_as_expected():
        raise ImportError("could not import")

    def test_that_passes():
        pass
"""


@pytest.mark.parametrize(
    ("set_to", "outcomes"),
    [("1", {"failed": 2, "skipped": 1, "error": 2}), ("", {"skipped": 5})],
    ids=["all-extras", "some"],
)
def test_a_skip_for_want_of_an_extra_fails_where_all_are_to_be_there(tmp_path, set_to, outcomes):
    (tmp_path / "test_extras.py").write_text(EXTRAS)
    (tmp_path / "test_module.py").write_text(
        "import pytest; pytest.importorskip('no_such_library', reason='sersk[keras]')"
    )
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-c", os.devnull, "--continue-on-collection-errors"]
    paths = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"SERSK_ALL_EXTRAS": set_to, "PYTHONPATH": paths, "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [*command, "--rootdir", tmp_path, tmp_path], env=environment, capture_output=True, text=True, check=False
    )
    last = done.stdout.splitlines()[-1]
    found = {kind: int(number) for number, kind in re.findall(r"(\d+) (failed|skipped|error)", last)}
    assert found == outcomes, done.stdout
    assert "1 passed" in last
    assert "1 xfailed" in last
    assert ("SERSK_ALL_EXTRAS is set" in done.stdout) == bool(set_to)

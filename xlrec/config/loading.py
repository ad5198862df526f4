"""Configs from a YAML file, the environment (`XLREC__RANK__DIVERSITY=0.2`) and overrides (`rank.diversity=0.2`)."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from xlrec.config.models import Config
from xlrec.errors import ConfigError

ENV_PREFIX = "XLREC__"
Model = TypeVar("Model", bound=BaseModel)


def load_config(path: str | None, overrides: Iterable[str] = (), env: Mapping[str, str] | None = None) -> Config:
    """The effective config. Later sources win, key by key: file, environment, overrides.

    Overrides are `section.key=value`, the value read as YAML. No path: no file. No `env`: the process's environment.

    Raises:
        ConfigError: the file is missing or no YAML, a key is unknown, or a value is not allowed. Names the full path of
            the key and, for an unknown one, those that are known there.
    """
    tree = _read(path) if path is not None else {}
    for name, value in sorted((os.environ if env is None else env).items()):
        if name.startswith(ENV_PREFIX):
            _put(tree, name.removeprefix(ENV_PREFIX).lower().split("__"), value, name)
    _override(tree, overrides)
    return validate_config(tree, path or "the config")


def load_program_config(model: type[Model], path: str, overrides: Iterable[str] = ()) -> Model:
    """The config of another program than the night, from a YAML file and overrides; ConfigError as `load_config`."""
    tree = _read(path)
    _override(tree, overrides)
    return _validate(model, tree, path)


def _override(tree: dict[str, Any], overrides: Iterable[str]) -> None:
    for override in overrides:
        key, sign, value = override.partition("=")
        if not sign or not key:
            raise ConfigError(f"--set {override!r} is not of the form section.key=value, such as rank.diversity=0.2")
        _put(tree, key.split("."), value, f"--set {key}")


def validate_config(tree: Mapping[str, Any], source: str = "the config") -> Config:
    """The config of this tree; ConfigError as `load_config`."""
    return _validate(Config, tree, source)


def _validate(model: type[Model], tree: Mapping[str, Any], source: str) -> Model:
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{source}: " + "; ".join(_explain(e, model) for e in error.errors())) from None


def _read(path: str) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no config file {path}: name one with --config, such as conf/demo.yaml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the config file {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds a {type(tree).__name__}; a config is a mapping that starts with `lake:`")
    return tree


def _put(tree: dict[str, Any], keys: list[str], value: str, source: str) -> None:
    for key in keys[:-1]:
        child = tree.setdefault(key, {})
        if not isinstance(child, dict):
            raise ConfigError(f"{source}: {key} is a value, not a section")
        tree = child
    try:
        tree[keys[-1]] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"{source}: the value {value!r} is not YAML") from None


def _explain(error: ErrorDetails, whole: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "config"
    if error["type"] == "extra_forbidden":
        known = _known(error["loc"][:-1], whole)
        hint = "".join(
            f"did you mean {name}? " for name in difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        )
        return f"unknown key {where}: {hint}known here: {', '.join(known)}"
    if error["type"] == "missing":
        return f"{where} is missing: add it, as in conf/demo.yaml"
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    return f"{where} is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _known(path: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """Keys of the section at this path."""
    for part in path:
        field = model.model_fields.get(str(part))
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return sorted(model.model_fields)

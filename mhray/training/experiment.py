"""An experiment of an MLflow store: opened or made, or what to say if that cannot be."""

import logging
import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import sqlalchemy
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from mhray.errors import NoAnswerError, StorageError, without_password

URI_KEY = "mlflow.tracking_uri"

# No retries inside MLflow: it repeats even "create a run" blindly, and its defaults block 258 s.
# Whoever has set these variables is obeyed.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

# What the UI shows first, which would otherwise be traces and prompts.
KIND = {"mlflow.experimentKind": "custom_model_development"}

FAILURES = (MlflowException, SQLAlchemyError, OSError, ImportError)


def be_quiet_and_brief() -> None:
    """What MLflow has to say goes to the log, and what fails is not tried again in silence."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    # MLflow gives these loggers a handler of its own that writes to standard error.
    for name in ("mlflow", "alembic", "huey", "sqlalchemy.engine"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True


def absolute_uri(uri: str) -> str:
    """The URI with the path of an SQLite file made absolute, so that it means one file anywhere.

    >>> absolute_uri("http://127.0.0.1:5000")
    'http://127.0.0.1:5000'
    >>> absolute_uri("sqlite:////data/mlflow.db")
    'sqlite:////data/mlflow.db'
    """
    relative = uri.removeprefix("sqlite:///")
    return f"sqlite:///{Path(relative).absolute()}" if relative not in {uri, ""} else uri


def open_experiment(uri: str, name: str, artifacts: Path, keys: tuple[str, str]) -> Experiment:
    """The experiment of this name in a store; both are created if they do not exist.

    ``keys`` are where a user wrote the URI and the name, for the errors.

    Raises:
        StorageError: the store cannot be opened or written, or the experiment was deleted.
    """
    try:
        if _is_database(uri):
            _probe_database(uri)
        opened = _get_or_create(uri, name, artifacts)
    except FAILURES as error:
        raise unreachable(uri, error, keys[0]) from None
    if opened.lifecycle_stage != "active":
        raise StorageError(
            f"{keys[1]}: {name} was deleted from {without_password(uri)}; "
            "write another name, or run "
            f"`mlflow experiments restore --experiment-id {opened.experiment_id}`"
        )
    return opened


def reason_of(error: Exception) -> str:
    """What MLflow, its database or the disk has to say, in one line."""
    if "filesystem tracking backend" in str(error):
        return "MLflow no longer writes plain directories"
    # SQLAlchemy puts a hint for its own users before what the database said.
    told = re.sub(r"^\(raised as a result of [^\n]*\n", "", str(error))
    return without_password(told).splitlines()[0][:300]


def unreachable(uri: str, error: Exception, key: str = URI_KEY) -> StorageError:
    """What to say of a store that cannot be opened or reached; ``key`` is where its URI stands."""
    kind = NoAnswerError if is_silent(uri, error) else StorageError
    return kind(
        f"{key}: {without_password(uri)} cannot be opened ({reason_of(error)}); "
        "write sqlite:///mlflow.db, or the address of a running MLflow server"
    )


def is_silent(uri: str, error: Exception) -> bool:
    """Whether a request failed because the server does not answer now.

    A database, a host whose name nobody knows, and an answer that refuses are other mistakes.

    >>> is_silent("sqlite:///mlflow.db", ConnectionRefusedError())
    False
    >>> is_silent("http://127.0.0.1:5000", ConnectionRefusedError())
    True
    """
    # MLflow makes one of its own errors of what `requests` raised, which is an OSError.
    causes = (error, error.__context__)
    return any(isinstance(each, OSError) for each in causes) and _is_known_server(uri)


def _is_known_server(uri: str) -> bool:
    address = urlsplit(uri)
    if address.scheme not in {"http", "https"}:
        return False
    try:
        socket.getaddrinfo(address.hostname, None)
    except OSError:
        return False
    return True


def _is_database(uri: str) -> bool:
    return re.match(r"(sqlite|postgresql|mysql|mssql)(\+\w+)?://", uri) is not None


def _probe_database(uri: str) -> None:
    # MLflow itself retries for 101 s before it says that a database cannot be opened.
    url = make_url(uri)
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as connection:
            sqlalchemy.inspect(connection).get_table_names()
            if is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        engine.dispose()


def _get_or_create(uri: str, name: str, artifacts: Path) -> Experiment:
    client = mlflow.MlflowClient(uri)
    existing = client.get_experiment_by_name(name)
    if existing is not None:
        return existing
    # A server may run on another machine, where a path of this one means nothing.
    location = str(artifacts.absolute()) if _is_database(uri) else None
    try:
        made = client.create_experiment(name, artifact_location=location, tags=KIND)
        return client.get_experiment(made)
    except MlflowException as error:
        made_by_another = client.get_experiment_by_name(name)
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or made_by_another is None:
            raise
        return made_by_another

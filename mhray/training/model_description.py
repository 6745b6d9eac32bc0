"""What a registered model says of itself: the card of its champion, unless a user wrote another.

A description that is not exactly what some version's card gives is a user's, and stays.
"""

import mlflow
from mlflow.entities.model_registry import ModelVersion


def describe(client: mlflow.MlflowClient, name: str, alias: str) -> None:
    """Give a registered model the description of the version that has this alias.

    It stays as it is if a user wrote it, or if that version has none.
    """
    known = client.get_registered_model(name)
    if alias not in known.aliases:
        return
    best = client.get_model_version(name, known.aliases[alias])
    wanted = _described(best, alias)
    if not best.description or known.description == wanted:
        return
    if known.description and not _is_ours(client, name, known.description, alias):
        return
    client.update_registered_model(name, wanted)


def _described(version: ModelVersion, alias: str) -> str:
    return f"Version {version.version}, the {alias}:\n\n{version.description}"


def _is_ours(client: mlflow.MlflowClient, name: str, description: str, alias: str) -> bool:
    versions = client.search_model_versions(f"name = '{name}'")
    return any(_described(version, alias) == description for version in versions)

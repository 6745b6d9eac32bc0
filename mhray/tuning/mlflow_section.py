"""What a study file says of MLflow."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from mhray.tuning.schema import Section, written


def _is_no_folder(uri: str) -> str:
    if uri.startswith("file:") or ("://" not in uri and uri != "databricks"):
        raise ValueError(
            f"is a directory, {written(uri)}, which MLflow no longer takes; "
            "write sqlite:///mlflow.db or the http:// address of a server"
        )
    return uri


def _is_model_name(name: str) -> str:
    # MLflow refuses / and :, its search breaks at ', and an alias follows @.
    if re.search(r"[/:'@\n]", name) or not name.strip(". "):
        raise ValueError(
            f"should be a name without / : ' @ that is more than dots, not {written(name)}; "
            "write letters, digits, spaces, _, - and dots"
        )
    return name


class Mlflow(Section):
    """Where the sweep is recorded.

    Attributes:
        tracking_uri: a database or a server.
        register_best_as: the registered model that the best trial becomes; null: none.
    """

    tracking_uri: Annotated[str, Field(min_length=1), AfterValidator(_is_no_folder)] = (
        "sqlite:///mlflow.db"
    )
    register_best_as: Annotated[str, Field(min_length=1), AfterValidator(_is_model_name)] | None = (
        None
    )

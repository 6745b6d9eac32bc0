"""The arguments of every command that takes a registered model."""

import argparse
import os


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, and the MLflow store in which it is registered."""
    parser.add_argument(
        "model", metavar="MODEL", help="models:/NAME@champion, or another URI of MLflow's"
    )
    parser.add_argument(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db"),
        metavar="URI",
        help="of the MLflow store (default: MLFLOW_TRACKING_URI, or else sqlite:///mlflow.db)",
    )

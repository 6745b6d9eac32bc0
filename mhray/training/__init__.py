"""One training run: in this process, under Ray Train, recorded in MLflow."""

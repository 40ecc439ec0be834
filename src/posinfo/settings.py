"""Project settings; see Kedro's documentation of settings.py."""

import os
from pathlib import Path

from posinfo.hooks import ReportHooks, RequestHooks, TrackingHooks
from posinfo.pipelines import console, tracking_store

tracking_store.hide_credentials()
console.set_up()  # Kedro reads this file before it loads its plugins, which have warnings

HOOKS = (RequestHooks(), TrackingHooks(), ReportHooks())

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**", "**/mlflow*"]},
    "merge_strategy": {"parameters": "soft"},  # or --params of one nested key would drop the rest
    "custom_resolvers": {
        "package": lambda file: str(Path(__file__).parent / file),  # what a wheel, too, has
        "environment": os.environ.get,
        # a server keeps its own artifacts; a folder of this machine is of no use to its other users
        "artifacts": lambda folder: None if "MLFLOW_TRACKING_URI" in os.environ else folder,
    },
}

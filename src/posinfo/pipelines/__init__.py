"""The Kedro glue, once for all experiments: factory, runner, tracking, progress, dataset types."""

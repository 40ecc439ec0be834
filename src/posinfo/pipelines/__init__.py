"""The Kedro glue: a folder per experiment, tracking, progress bars and catalog dataset types."""

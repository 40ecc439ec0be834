"""Tests of the project.

They run our modules through jaxtyping's hook, and what a module imports while the hook runs it is
compiled anew, 3,000 modules in all. So what each of ours needs is imported before any of them.
"""

import importlib

for library in ("beartype", "matplotlib.figure", "pandas", "pydantic"):
    importlib.import_module(library)

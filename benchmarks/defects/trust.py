"""Defects of what results can be trusted by: keys, the store, checkpoints, the runner, tracking."""

from defects.defect import Defect, within

COPY = "test_code_key.py -k 'canvases or readouts_recomputes'"

DEFECTS = [
    *within(
        "plan.py",
        "test_plan.py",
        Defect(
            "the key lacks a package", '"scikit-learn", "timm", "torch"', '"scikit-learn", "torch"'
        ),
        Defect("the key lacks the inputs", '"inputs": inputs,\n', '"inputs": {},\n'),
        Defect(
            "the key lacks the precision",
            '"dtype": str(dtype).removeprefix("torch.")',
            '"dtype": ""',
        ),
        Defect(
            "the key has the number of the device", '"device": device.type', '"device": str(device)'
        ),
        Defect("the key follows the order of settings", "sort_keys=True, ", ""),
        Defect(
            "the key lacks the settings of the training",
            'cell.model_dump(mode="json")',
            'cell.model_dump(mode="json", exclude={"training"})',
            tests="experiments/permutenet/test_settings.py",
        ),
        Defect(
            "the key lacks the code of one's own network",
            "[step.run.__module__, *cell.modules]",
            "[step.run.__module__]",
        ),
        Defect("families are ignored", "experiment.family or experiment.name", "experiment.name"),
        Defect("precision where nothing is computed", "if step.numeric else {}", "if step else {}"),
        Defect(
            "only new values differ", "first.keys() | second.keys()", "first.keys() & second.keys()"
        ),
    ),
    *within(
        "code_key.py",
        "test_code_key.py -k 'not plans and not recompute and not trains'",
        Defect(
            "imports of imports do not count",
            "            waiting += _module(name).imports\n",
            "            waiting += _module(name).imports if name == module else []\n",
        ),
        Defect(
            "posinfo does not count for one's own modules",
            '(importer.partition(".")[0], PACKAGE)',
            '(importer.partition(".")[0],)',
        ),
        Defect(
            "moved code has the same key",
            'f"{name} {_module(name).tree_hash}"',
            'f"{_module(name).tree_hash}"',
        ),
        Defect(
            "relative imports do not count",
            "if node.level else base",
            "if node.level > 9 else base",
        ),
        Defect(
            "imports in functions do not count",
            "    for node in ast.walk(tree):\n        if isinstance(node, ast.Import):",
            "    for node in tree.body:\n        if isinstance(node, ast.Import):",
        ),
        Defect(
            "names of packages alone",
            '            yield from (f"{module}.{alias.name}" for alias in node.names)\n',
            "",
        ),
        Defect(
            "docstrings count",
            "line for line in node.body if not _is_string(line)",
            "line for line in node.body if line",
        ),
        Defect(
            "the key is of the text",
            "ast.dump(_without_strings(tree)).encode()",
            "path.read_bytes()",
        ),
        Defect(
            "the stimuli do not count",
            "if _is_own(imported, name)}",
            'if _is_own(imported, name) and ".stimuli" not in imported}',
            tests=COPY,
        ),
        Defect(
            "the networks do not count",
            "if _is_own(imported, name)}",
            'if _is_own(imported, name) and ".networks" not in imported}',
            tests=COPY,
        ),
    ),
    *within(
        "stored_rows.py",
        "test_store.py",
        Defect("texts become numbers", "keep_default_na=False", "keep_default_na=True"),
        Defect(
            "columns forget their types", "pd.read_csv(path, dtype=columns,", "pd.read_csv(path,"
        ),
    ),
    *within(
        "writing.py",
        "test_writing.py",
        Defect(
            "a full disk is an error of safetensors",
            "(OSError, RuntimeError, SafetensorError)",
            "(OSError, RuntimeError)",
        ),
        Defect(
            "a failure of the GPU is a full disk",
            "(UnwritableError, torch.AcceleratorError, torch.OutOfMemoryError)",
            "UnwritableError",
        ),
        Defect(
            "files alone are brought to the disk",
            '[*folder.rglob("*"), folder]',
            '[*folder.rglob("*.*")]',
        ),
    ),
    *within(
        "store.py",
        "test_store.py",
        Defect(
            "a full disk is what each library calls it",
            '            with writing(f"the result {self.path(key)}"):\n                _write',
            "            if True:\n                _write",
        ),
        Defect(
            "a removal begins with the files",
            "        (self.path(key) / RECORD).unlink(missing_ok=True)\n        shutil",
            "        shutil",
        ),
        Defect(
            "finished checkpoints stay",
            "for file in [checkpoint, *filter(_is_left, halves)]:",
            "for file in filter(_is_left, halves):",
        ),
        Defect(
            "half-written checkpoints stay",
            "for file in [checkpoint, *filter(_is_left, halves)]:",
            "for file in [checkpoint]:",
        ),
        Defect(
            "half-written folders of others are removed",
            "here and not psutil.pid_exists(int(number))",
            "here",
        ),
        Defect(
            "half-written folders are results",
            "record.parent.name.endswith((PARTIAL, DAMAGED))",
            "record.parent.name.endswith(DAMAGED)",
        ),
        Defect("missing files pass", 'return f"{file} is missing"', 'return ""'),
        Defect(
            "files of another size pass",
            'if found.st_size != written["bytes"]:',
            'if found.st_size < 0 * written["bytes"]:',
            reason="both ends of a file are compared, too, and differ where a part is missing",
        ),
        Defect(
            "files of another content pass",
            '_ends(file, found.st_size, found.st_mtime_ns) != written["ends"]',
            "found.st_size < 0",
        ),
        Defect(
            "damaged results are thrown away",
            "        target.rename(aside)\n",
            "        shutil.rmtree(target)\n",
        ),
        Defect(
            "damaged results are finished",
            "(folder / RECORD).is_file() and not damage_of(folder)",
            "(folder / RECORD).is_file()",
        ),
        Defect(
            "tensors that share memory", "tensor.cpu().clone(memory_format=layout)", "tensor.cpu()"
        ),
        Defect(
            "histories are lost",
            '"history": {name: list(values) for name, values in result.history.items()}',
            '"history": {}',
        ),
        Defect(
            "arrays are read into memory",
            'np.load(folder / f"{n}.npy", mmap_mode="r")',
            'np.load(folder / f"{n}.npy")',
        ),
        Defect("NaN in a record", "allow_nan=False", "allow_nan=True"),
    ),
    *within(
        "grid.py",
        "test_grid.py",
        Defect("equal cells pass", "            if equal:\n", "            if equal == label:\n"),
        Defect("groups are ignored", "names[c] & set(only)}", "c in only}"),
        Defect(
            "settings below settings are replaced",
            "merged(known, value) if isinstance(known, Mapping) else value",
            "value",
        ),
        Defect("unknown settings pass", "for name in [*shared, *item]:", "for name in shared:"),
        Defect(
            "equal labels pass", "            if label in cells:\n", "            if label in ():\n"
        ),
        Defect(
            "labels in the order of the item",
            "for name in self.model.model_fields:\n            if name not in item",
            "for name in item:\n            if name not in item",
        ),
    ),
    *within(
        "choices.py",
        "test_grid.py",
        Defect("repeated values pass", "values.count(value) > 1", "values.count(value) > 2"),
        Defect(
            "labels that leave the folder", r"^[A-Za-z0-9][\w.+-]*$", r"^[A-Za-z0-9.][\w.+/-]*$"
        ),
    ),
    *within(
        "work.py",
        "test_work.py",
        Defect("never in bfloat16", "enabled=self.dtype != torch.float32", "enabled=False"),
        Defect(
            "a full disk is found out later",
            "if needed * FREE_SPACE_MARGIN > free:",
            "if free < 0:",
        ),
        Defect("missing rows pass", "    if rows != shape[0]:\n", "    if rows > shape[0]:\n"),
        Defect(
            "rows of another shape pass",
            "if batch.shape[1:] != shape[1:]:",
            "if batch.ndim != len(shape):",
        ),
    ),
    *within(
        "experiment.py",
        "test_experiment.py",
        Defect("inputs are replaced", '"inputs": {**self.inputs, **inputs}', '"inputs": inputs'),
        Defect(
            "the key has the names of inputs",
            "inputs: dict[str, str] = Field(default={}, exclude=True)",
            "inputs: dict[str, str] = Field(default={})",
        ),
    ),
    *within(
        "choices.py",
        "test_choices.py",
        Defect("infinite settings pass", "allow_inf_nan=False", "allow_inf_nan=True"),
        Defect(
            "no near name of an unknown setting",
            'check_all("setting", map(str, values), cls.model_fields)',
            "pass",
        ),
        Defect(
            "the first unknown setting alone is named",
            "for name in unknown)",
            "for name in unknown[:1])",
        ),
        Defect(
            "the nearest name is taken",
            "    check_all(kind, [name], allowed)\n    return name\n",
            "    return get_close_matches(name, list(allowed), n=1)[0]\n",
        ),
        Defect("no near name is proposed", "n=1)", "n=1)[1:]"),
    ),
    *within(
        "networks/training/checkpoints.py",
        "networks/training/test_checkpoints.py",
        Defect("checkpoints run code", "weights_only=True", "weights_only=False"),
        Defect(
            "written in place",
            'path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.partial")',
            "path",
        ),
        Defect("one file for all processes", ".{os.getpid()}.partial", ".partial"),
        Defect("renamed before it is on the disk", "                os.fsync(file.fileno())\n", ""),
        Defect(
            "half-written files stay", "        partial.unlink(missing_ok=True)\n", "        pass\n"
        ),
    ),
    *within(
        "networks/models/state_file.py",
        "networks/models/test_weights.py -k other_files",
        Defect(
            "weights run code", "weights_only=True)\n    except", "weights_only=False)\n    except"
        ),
    ),
    *within(
        "networks/models/efficientnet_lite.py",
        "networks/models/test_efficientnet_lite.py",
        Defect("weights run code", "weights_only=True", "weights_only=False"),
    ),
    *within(
        "networks/models/embedded_weights.py",
        "networks/models/test_embedded_weights.py",
        Defect("any file of a wheel", "if digest != expected:", "if not digest:"),
    ),
    *within(
        "networks/training/devices.py",
        "networks/training/test_devices.py",
        Defect(
            "TF32 in convolutions",
            "torch.backends.cudnn.allow_tf32 = False",
            "torch.backends.cudnn.allow_tf32 = True",
        ),
        Defect(
            "TF32 in products",
            "torch.backends.cuda.matmul.allow_tf32 = False",
            "torch.backends.cuda.matmul.allow_tf32 = True",
        ),
        Defect(
            "the caller's TF32 is forgotten",
            'restored.callback(setattr, backend, "allow_tf32", backend.allow_tf32)',
            "backend.allow_tf32",
        ),
        Defect(
            "the caller's precision is forgotten",
            'restored.callback(setattr, part, "fp32_precision", part.fp32_precision)',
            "pass",
        ),
    ),
    *within(
        "pipelines/runner.py",
        "pipelines/test_runner.py",
        Defect(
            "TF32 in a run",
            "with true_float32():",
            "if True:",
            tests="pipelines/test_runner.py -k float32",
        ),
        Defect(
            "no checkpoint",
            ", checkpoint=store.checkpoint(cell.key))",
            ")",
            tests="pipelines/test_runner.py -k kept",
        ),
        Defect(
            "threads are not given back",
            "        torch.set_num_threads(before)\n",
            "        pass\n",
            tests="pipelines/test_runner.py -k threads",
        ),
        Defect(
            "what another process has made is made again",
            "if cell.key in store:  # another",
            "if cell.key in ():  # another",
            tests="pipelines/test_runner.py -k since",
        ),
        Defect(
            "a failing tracker stops the others",
            "except Exception as error:\n            _fail(cell,",
            "except ZeroDivisionError as error:\n            _fail(cell,",
            tests="pipelines/test_runner.py -k tracker",
        ),
        Defect(
            "failures are silent",
            "    if failed:\n        lines",
            "    if len(failed) > 99:\n        lines",
            tests="pipelines/test_runner.py -k 'failed or missing'",
        ),
        Defect(
            "labels that share a result are told once",
            "for same in (other for other in cells if other.key == cell.key):",
            "for same in (cell,):",
            tests="pipelines/test_runner.py -k 'share or meanwhile'",
        ),
        Defect(
            "what is done is computed again",
            "if cell.key not in lacking and cell.key in store:",
            "if cell.key in lacking and cell.key in store:",
            tests="pipelines/test_runner.py -k store_has",
        ),
        Defect(
            "inputs by the order of steps",
            "{role: store.open(key) for role, key in cell.inputs.items()}",
            "{}",
            tests="pipelines/test_runner.py -k role",
        ),
        Defect(
            "the place of a failure is lost",
            '"".join(traceback.format_exception(error))',
            '""',
            tests="pipelines/test_runner.py -k traceback",
        ),
        Defect(
            "always in float32",
            "    work = Work(device, dtype, on_total",
            "    work = Work(device, on_total",
            tests="pipelines/test_runner.py -k precision",
        ),
    ),
    *within(
        "pipelines/requests.py",
        "pipelines/test_requests.py",
        Defect(
            "one plan for all settings",
            'f"{self.experiment.name} {self.settings.model_dump_json()} {machine}"',
            "self.experiment.name",
        ),
        Defect(
            "one plan for all precisions",
            "{self.settings.model_dump_json()} {machine}",
            "{self.settings.model_dump_json()}",
        ),
        Defect(
            "missing inputs pass",
            "                if needed.key in self.store:\n",
            "                if needed.key:\n",
        ),
        Defect("plans outlive a run", "    _PLANS.clear()\n", "    _PLANS.copy()\n"),
        Defect(
            "changes of inputs of inputs are not named",
            "if role != name and before in self.store and role in needed.cell.inputs:",
            "if not role:",
        ),
    ),
    *within(
        "pipelines/reports.py",
        "pipelines/test_reports.py",
        Defect(
            "the key lacks the published numbers",
            "hashlib.sha256(published.to_csv().encode()).hexdigest()",
            '""',
        ),
        Defect("the key lacks the code", "code_key([experiment.report.__module__])", '""'),
        Defect("the key lacks the settings", 'request.settings.model_dump(mode="json")', "{}"),
        Defect(
            "reports of missing results",
            "    if missing:\n        raise",
            "    if len(missing) > 99:\n        raise",
        ),
        Defect(
            "old reports are not tracked",
            "    files = store.open(key).files\n    tracking.log_files(store.path(key) / FILES)\n",
            "    files = store.open(key).files\n",
        ),
    ),
    *within(
        "pipelines/factory.py",
        "pipelines/test_factory.py",
        Defect(
            "pictures are drawn again",
            "picture(result) if picture and computed else None",
            "picture(result) if picture else None",
        ),
        Defect(
            "steps take the results of all",
            "earlier = list(names)[:index]",
            "earlier = list(names)[: index + 1]",
        ),
        Defect("stages have one tag", "tags=stage", 'tags="modeling"'),
        Defect(
            "every step is tracked",
            'if step.stage == "evaluation" else silent',
            "if step.stage else silent",
        ),
        Defect(
            "inputs are not asked for",
            "        request.require_inputs(cells, dict(zip(earlier, inputs, strict=True)))\n",
            "",
        ),
    ),
    *within(
        "pipelines/datasets.py",
        "pipelines/test_datasets.py",
        Defect(
            "results of other settings exist",
            "bool(links) and as_expected and all",
            "bool(links) and all",
        ),
        Defect("removed results exist", " and all(map(is_finished, links))", ""),
        Defect(
            "old links stay",
            "            if link.name not in data:\n",
            "            if not link.name:\n",
        ),
        Defect(
            "absolute links",
            "target = os.path.relpath(Path(folder).resolve(), self._filepath.resolve())",
            "target = Path(folder).resolve()",
        ),
        Defect(
            "any table exists",
            "return file.is_file() and self.expected in (None, file.read_bytes())",
            "return file.is_file()",
        ),
    ),
    *within(
        "pipelines/progress.py",
        "pipelines/test_progress.py",
        Defect("the bar never shows", "disable=not console.is_terminal", "disable=True"),
        Defect("the bar fills files", "disable=not console.is_terminal", "disable=False"),
        Defect(
            "done cells are not counted",
            "self._bar.update(self._cells, completed=cells)",
            "self._bar.update(self._cell, completed=cells)",
        ),
        Defect(
            "the total of a cell is not shown",
            "self._bar.update(self._cell, total=amount)",
            "self._bar.update(self._cells, total=amount)",
        ),
        Defect(
            "a cell begins with a step done",
            "self._cell = self._bar.add_task(label, total=None)",
            "self._cell = self._bar.add_task(label, total=None, completed=1)",
        ),
    ),
    *within(
        "pipelines/tracking.py",
        "pipelines/test_tracking.py",
        Defect(
            "a child run is left open",
            "    finally:\n        client.set_terminated",
            "    except TypeError:\n        raise\n    else:\n        client.set_terminated",
        ),
        Defect(
            "failed child runs are finished",
            '    status = "FAILED"\n',
            '    status = "FINISHED"\n',
        ),
        Defect(
            "runs of failed trials are finished",
            '"FAILED" if failed else "FINISHED"',
            '"FINISHED"',
            tests="pipelines/test_tracking.py -k trial",
        ),
        Defect("epochs from 0", "enumerate(curve, start=1)", "enumerate(curve)"),
        Defect(
            "undefined metrics are written",
            "for key, value in metrics.items() if isfinite(value)]",
            "for key, value in metrics.items()]",
        ),
        Defect(
            "one run is ended of several",
            "    while mlflow.active_run() is not None:\n",
            "    if mlflow.active_run() is not None:\n",
        ),
        Defect("the last row for the mean", "fmean(numbers) for", "numbers[-1] for"),
        Defect("stimuli are averaged", "if len(set(rows[n])) > 1]", "if not len(rows)]"),
        Defect(
            "a run where none is open",
            "    if mlflow.active_run() is not None:  # or MLflow would open one\n        mlflow",
            "    if mlflow:  # or MLflow would open one\n        mlflow",
        ),
        Defect("children without a parent", "MLFLOW_PARENT_RUN_ID: parent.info.run_id, ", ""),
    ),
    *within(
        "hooks.py",
        "test_hooks.py",
        Defect(
            "unknown parameters pass", 'if not name.startswith("_"):', 'if name.startswith("_"):'
        ),
        Defect(
            "finished cells are asked again",
            "cell for cell in cells.values() if cell.key not in store]",
            "cell for cell in cells.values() if cell.key]",
        ),
        Defect(
            "results of other settings are those of today",
            "        dataset.expected = {label: cell.key for label, cell in cells.items()}\n",
            "",
        ),
        Defect(
            "failed runs are finished",
            'tracking.end_runs("FAILED")',
            'tracking.end_runs("FINISHED")',
        ),
    ),
]

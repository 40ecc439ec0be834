"""Defects of searches: what is measured, who computes it, what a study goes on with."""

from defects.defect import Defect, within

SWEEPING = "pipelines/test_sweeping.py"
STORAGE = "pipelines/test_sweeping_storage.py"

DEFECTS = [
    *within(
        "pipelines/sweeping.py",
        SWEEPING,
        Defect(
            "trials are measured on test images",
            "sweep.request(changes, VALIDATION), on_score",
            "sweep.request(changes, 'test'), on_score",
            tests=f"{SWEEPING} -k 'looked_at or means_over'",
        ),
        Defect(
            "the good ones are cut short",
            "score if higher else -score",
            "-score if higher else score",
            tests=f"{SWEEPING} -k cut_short",
        ),
        Defect(
            "a score has the objective's sign alone",
            "score if higher else -score",
            "-score",
            tests=f"{SWEEPING} -k cut_short",
        ),
        Defect(
            "a full disk fails trials for good",
            "UNWRITABLE if failure.unwritable else ERROR",
            "ERROR",
            tests=f"{SWEEPING} -k full_disk",
        ),
        Defect(
            "a full disk ends the search without a word of Optuna's database",
            "if told and told[0].lost:",
            "if False:",
            tests=f"{SWEEPING} -k study_is_on_the_full_disk",
        ),
        Defect(
            "a database that goes away is what Optuna makes of it",
            "if not away:",
            "if True:",
            tests=f"{SWEEPING} -k database_goes_away",
        ),
        Defect(
            "a lost database is the trial's fault",
            "        with written():\n            changes |= suggest(",
            "        if True:\n            changes |= suggest(",
            tests=f"{SWEEPING} -k study_that_cannot_be_written",
        ),
        Defect(
            "a database that is lost between epochs is the trial's fault",
            "with written(), warnings",
            "with warnings",
            tests=f"{SWEEPING} -k study_that_cannot_be_written",
        ),
        Defect(
            "an undefined metric is a number",
            "not all(map(isfinite, means))",
            "not any(map(isfinite, [0.0, *means]))",
            tests=f"{SWEEPING} -k undefined",
        ),
        Defect(
            "what others compute does not count",
            "deepcopy=False))) + len(others)",
            "deepcopy=False)))",
            tests=f"{SWEEPING} -k beside",
        ),
        Defect(
            "errors are no part of a trial",
            "else ERROR, failure.said",
            "else PROCESS, failure.said",
            tests=f"{SWEEPING} -k failed_trials",
        ),
        Defect(
            "a search is not checked",
            "    sweep.check()\n",
            "",
            tests=f"{SWEEPING} -k cannot_be",
        ),
    ),
    *within(
        "pipelines/sweeping_samplers.py",
        "pipelines/test_sweeping_samplers.py",
        Defect("every trial has the same seed", "self._seed + number", "self._seed + 0 * number"),
        Defect("sequences begin anew", "if name in ONE_SEQUENCE else", "if not name else"),
        Defect(
            "a trial that is repeated has another seed",
            "number_of(trial, study.get_trials(deepcopy=False))",
            "trial.number",
            tests=f"{SWEEPING} -k 'draws_its_own or undisturbed'",
        ),
        Defect(
            "conditions are not asked",
            "if not dimension.is_active(chosen):",
            "if not dimension.is_active(chosen) and not space:",
        ),
    ),
    *within(
        "pipelines/sweeping_storage.py",
        STORAGE,
        Defect(
            "a trial that is about to give its name is ended",
            "time.monotonic() - begun > 2 * heartbeat",
            "time.monotonic() - begun >= 0",
            tests=f"{SWEEPING} -k our_clock",
        ),
        Defect(
            "a sign of life that fails ends its thread",
            "            super().record_heartbeat(trial_id)\n        except AWAY",
            "            super().record_heartbeat(trial_id)\n        except KeyError",
            tests=f"{STORAGE} -k sign_of_life",
        ),
        Defect(
            "a trial that is repeated has the name of a dead process",
            "own = {PROCESS, UNWRITABLE}",
            "own = {UNWRITABLE}",
            tests=f"{STORAGE} -k dead_process",
        ),
        Defect(
            "a study goes on with other code",
            "    if other:\n",
            '    if [name for name in other if not name.startswith("code")]:\n',
            tests=f"{STORAGE} -k other_code",
        ),
        Defect(
            "a study of another search is taken",
            "        _require_same(sweep.study,",
            "        () and _require_same(sweep.study,",
            tests=f"{STORAGE} -k another_search",
        ),
        Defect(
            "trials are repeated for ever",
            "not _is_repeated(trial, trials) and _goes_on(trial, trials):",
            "not _is_repeated(trial, trials):",
            tests=f"{STORAGE} -k too_often",
        ),
        Defect(
            "a failed trial shows Optuna's traceback",
            "set_verbosity(optuna.logging.ERROR)",
            "set_verbosity(optuna.logging.WARNING)",
            tests=f"{SWEEPING} -k failed_trials",
        ),
        Defect(
            "a full disk counts as a loss",
            "sum(UNWRITABLE not in trials[number].user_attrs for number in history)",
            "len(history)",
            tests=f"{SWEEPING} -k 'full_disk and 1'",
        ),
        Defect(
            "lost trials count",
            "and not (_is_lost(trial) and (",
            "and not (() and (",
            tests=f"{STORAGE} -k 'dead_process or too_often'",
        ),
    ),
    *within(
        "pipelines/sweep_settings.py",
        "pipelines/test_sweep_settings.py",
        Defect(
            "the first trial lies outside of the space",
            "                if not dimension.has(values[name]):\n",
            "                if not space:\n",
            tests=f"{STORAGE} -k lie_in_the_space",
        ),
        Defect(
            "passwords in a query pass",
            'any("password" in name for name in url.query)',
            '"password" in ()',
        ),
        Defect("passwords pass", "url.password is not None or", "url.password == () or"),
        Defect(
            "errors show addresses",
            "hide_input_in_errors=True",
            "hide_input_in_errors=False",
        ),
        Defect(
            "one end of a range is tried", "*combinations(space))", "*[*combinations(space)][:1])"
        ),
        Defect(
            "the name of a study has the number of trials in it",
            '            "space": search["space"],\n',
            '            "space": search["space"],\n            "n_trials": search["n_trials"],\n',
        ),
    ),
    *within(
        "pipelines/sweeping_report.py",
        "pipelines/test_sweeping_report.py",
        Defect(
            "the best is told on validation images alone",
            "values_of(trial, _space(sweep)), TEST))",
            'values_of(trial, _space(sweep)), "validation"))',
        ),
        Defect("the worst first", '.direction == "minimize"', '.direction == "maximize"'),
        Defect(
            "a configuration without the trial's own settings",
            "sweep.configured(changes, TEST)",
            "sweep.configured({}, TEST)",
        ),
        Defect("plots cut all names alike", "_plots(with_short_names(study), ", "_plots(study, "),
        Defect(
            "plots lose epochs",
            "intermediate_values=trial.inter",
            "intermediate_values={} and trial.inter",
        ),
    ),
    *within(
        "pipelines/workers.py",
        "pipelines/test_workers.py",
        Defect(
            "what is done is done again",
            "                del waiting[number]\n",
            "",
            tests="pipelines/test_workers.py -k 'every_process or leaves'",
        ),
        Defect(
            "workers are replaced for ever",
            "if lost > RERUNS:",
            "if lost > 9:",
            tests="pipelines/test_workers.py -k too_often",
        ),
        Defect(
            "any error is a loss",
            "            if not is_loss(error):\n                raise\n",
            "",
            tests="pipelines/test_workers.py -k no_loss",
        ),
        Defect(
            "all processes have the first GPU",
            "        except Timeout:\n            continue\n",
            "        except Timeout:\n            pass\n",
            tests="pipelines/test_workers.py -k of_its_own",
        ),
        Defect(
            "GPUs that were too few are kept",
            "            lock.release()\n        raise",
            "            _PINNED.append(lock)\n        raise",
            tests="pipelines/test_workers.py -k too_few",
        ),
    ),
    *within(
        "pipelines/processes.py",
        "pipelines/test_processes.py",
        Defect(
            "processes of other hosts are dead", "        return False\n", "        return True\n"
        ),
        Defect("a later process is the same", "> CLOCK", "> 1e9 * CLOCK"),
    ),
    *within(
        "plan.py",
        "test_plan.py -k other_code",
        Defect(
            "workers may have other code",
            "    if other:\n        raise Runtime",
            "    if other == here:\n        raise Runtime",
        ),
    ),
    *within(
        "hooks.py",
        "test_hooks.py -k 'credentials or search'",
        Defect(
            "the file is stronger than the shell",
            "os.environ.setdefault(str(name), str(value))",
            "os.environ[str(name)] = str(value)",
        ),
        Defect(
            "searches are not prepared",
            "            sweeping.prepare(Sweep.of(settings, parameters))\n",
            "            Sweep.of(settings, parameters)\n",
        ),
    ),
]

"""What a sweep reports: its trials, the best of them on test images, and Optuna's own plots."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import optuna
import optuna.visualization.matplotlib as optuna_plots
import pandas as pd
import yaml
from matplotlib.figure import Figure
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from posinfo.measures.paired_comparisons import comparisons_markdown, paired_comparisons
from posinfo.pipelines.search_space import Changes
from posinfo.pipelines.sweep_settings import TEST, Sweep
from posinfo.pipelines.sweeping import BY_SEED, by_seed, compute
from posinfo.pipelines.sweeping_samplers import values_of
from posinfo.pipelines.sweeping_storage import ERROR, STARTED, ended, number_of

SHOWN = 10  # trials in the summary


@dataclass(frozen=True)
class SweepReport:
    """What becomes of a study.

    Attributes:
        best: a row per trial that is measured on test images, split, metric and seed.
        comparisons: of ``paired_comparisons``: the best against the settings as they were.
        summary: Markdown.
        plots: pictures by name.
        configurations: by name, YAML that ``kedro run --config=`` takes.
    """

    best: pd.DataFrame
    comparisons: pd.DataFrame
    summary: str
    plots: Mapping[str, Figure]
    configurations: Mapping[str, str]


def trials_table(study: Study, sweep: Sweep) -> pd.DataFrame:
    """A row per trial that has ended, in order: state, objectives and their spread, settings."""
    objectives, space = sweep.settings.search.objectives, sweep.settings.search.space
    lines = []
    numbers = _numbers(study)
    for trial in sorted(ended(study.get_trials(deepcopy=False)), key=lambda t: numbers[t.number]):
        line: dict[str, Any] = {"trial": numbers[trial.number], "state": trial.state.name.lower()}
        measured = trial.user_attrs.get(BY_SEED, {})
        for objective in objectives:
            values = measured.get(objective.name, [])
            line[objective.name] = np.mean(values) if values else np.nan
            line[f"{objective.name}_sd"] = np.std(values, ddof=1) if values[1:] else np.nan
        line["seeds"] = sweep.settings.search.seeds_per_trial if measured else 0
        line |= {name: trial.params.get(name) for name in space}
        lines.append({**line, "failure": trial.user_attrs.get(ERROR, "")})
    return pd.DataFrame(lines)


def best_trials(study: Study) -> list[FrozenTrial]:
    """The best trial, or of several objectives those that no other is better than in all."""
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    if not complete:
        return []
    return [study.best_trial] if len(study.directions) == 1 else study.best_trials


def make_report(study: Study, sweep: Sweep) -> SweepReport:
    """The report; the best trials, and the settings as they were, are measured on test images."""
    best = best_trials(study)
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    start = [trial for trial in complete if STARTED in trial.user_attrs]
    numbers = _numbers(study)
    shown = {numbers[trial.number]: trial for trial in [*best, *start]}
    scores = pd.DataFrame(
        _scores(shown, sweep), columns=["trial", "cell", "split", "seed", *_names(sweep)]
    )
    cells = {trial.number: _cell(number, trial) for number, trial in shown.items()}
    first = cells[start[0].number] if start else ""
    pairs = [(cells[t.number], first) for t in best if first and t not in start]
    comparisons = paired_comparisons(scores, ["split"], _names(sweep), pairs=pairs)
    return SweepReport(
        best=scores.drop(columns="cell"),
        comparisons=comparisons,
        summary=_summary(
            study, sweep, scores, comparisons, [numbers[trial.number] for trial in best]
        ),
        plots=dict(_plots(with_short_names(study), sweep)),
        configurations={
            f"trial-{numbers[trial.number]}": configuration(sweep, values_of(trial, _space(sweep)))
            for trial in best
        },
    )


def configuration(sweep: Sweep, changes: Changes) -> str:
    """A trial's settings, all that its experiment reads, as YAML for ``kedro run --config=``."""
    whole = sweep.configured(changes, TEST)
    sections = {name: whole[name] for name in sweep.experiment.settings.model_fields}
    return yaml.safe_dump({"run": {"pipeline": sweep.experiment.name, "params": sections}})


def _scores(trials: Mapping[int, FrozenTrial], sweep: Sweep) -> Iterator[dict[str, Any]]:
    """A row per trial, split and seed; the test images are looked at here, and nowhere else."""
    objectives = sweep.settings.search.objectives
    for number, trial in trials.items():
        results = compute(sweep.request(values_of(trial, _space(sweep)), TEST))
        on_test = {each.name: by_seed(results, each) for each in objectives}
        for split, measured in (("validation", trial.user_attrs[BY_SEED]), (TEST, on_test)):
            for seed in range(sweep.settings.search.seeds_per_trial):
                values = {name: by_name[seed] for name, by_name in measured.items()}
                about = {
                    "trial": number,
                    "cell": _cell(number, trial),
                    "split": split,
                    "seed": seed,
                }
                yield {**about, **values}


def _cell(number: int, trial: FrozenTrial) -> str:
    as_they_are = " (as they were)" if STARTED in trial.user_attrs else ""
    return f"trial {number}{as_they_are}"


def _numbers(study: Study) -> dict[int, int]:
    """By Optuna's number, which counts repetitions, too."""
    trials = study.get_trials(deepcopy=False)
    return {trial.number: number_of(trial, trials) for trial in trials}


def _names(sweep: Sweep) -> list[str]:
    return [objective.name for objective in sweep.settings.search.objectives]


def _space(sweep: Sweep) -> Any:
    return sweep.settings.search.space


def _summary(
    study: Study,
    sweep: Sweep,
    scores: pd.DataFrame,
    comparisons: pd.DataFrame,
    best: Sequence[int],
) -> str:
    search, names = sweep.settings.search, _names(sweep)
    table = trials_table(study, sweep)
    title = f"# {study.study_name}\n"
    if table.empty or not best:
        return f"{title}\nNo trial is complete.\n"
    states = ", ".join(f"{count} {state}" for state, count in table.state.value_counts().items())
    rising = search.objectives[0].direction == "minimize"
    complete = table.loc[table.state == "complete"].sort_values(by=names[0], ascending=rising)
    columns = ["trial", *(c for name in names for c in (name, f"{name}_sd")), *search.space]
    means = scores.groupby(["cell", "split"], sort=False)[names].agg(["mean", "std"]).reset_index()
    means.columns = [" ".join(filter(None, each)) for each in means.columns]
    parts = [
        title,
        f"{sweep.experiment.name}, {len(table)} trials ({states}). Each is the mean of "
        f"{search.seeds_per_trial} seeds on validation images; sd: the spread of the seeds.\n",
        complete.head(SHOWN)[columns].to_markdown(index=False, floatfmt=".4g"),
        _lead(study, complete, names),
        f"\n## {'The best' if len(names) == 1 else 'The front'} on test images\n",
        f"Chosen on validation images, which favours what was lucky there: {_list(best)}. Test "
        "images were looked at for these and for the settings as they were, once.\n",
        means.to_markdown(index=False, floatfmt=".4f"),
    ]
    if not comparisons.empty:
        parts += ["", comparisons_markdown(comparisons, ["split"], {name: name for name in names})]
    runs = (
        f"`kedro run --config=FOLDER/trial-{number}.yml` runs trial {number}." for number in best
    )
    return "\n".join([*parts, "", *runs, ""])


def _lead(study: Study, complete: pd.DataFrame, names: Sequence[str]) -> str:
    """How far the first of the table is ahead of the second, with one objective."""
    if len(names) > 1 or len(complete) < 2:
        return ""
    first, second = complete.trial.iloc[:2].tolist()
    numbers = _numbers(study)
    measured = {
        numbers[trial.number]: trial.user_attrs[BY_SEED][names[0]]
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    }
    rows = pd.DataFrame(
        [
            {"cell": str(trial), "seed": seed, "value": value}
            for trial in (first, second)
            for seed, value in enumerate(measured[trial])
        ]
    )
    (found,) = paired_comparisons(rows, [], ["value"], pairs=[(str(first), str(second))]).to_dict(
        "records"
    ) or [None]
    if found is None:
        return f"\nOne seed per trial: nothing says whether trial {first} leads trial {second}."
    lead = f"{found['difference']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f}, paired seeds)"
    inside = found["low"] <= 0 <= found["high"]
    why = "0 lies inside" if inside else "equal differences of so few seeds show no spread"
    said = "a lead" if found["separable"] else f"no lead: {why}"
    return f"\nTrial {first} minus trial {second}: {lead}: {said}."


def _list(numbers: Sequence[int]) -> str:
    word = "trial" if len(numbers) == 1 else "trials"
    return f"{word} {', '.join(map(str, numbers))}"


def with_short_names(study: Study) -> Study:
    """A copy in memory whose settings are named by the fewest last words that tell them apart.

    Optuna's plots cut names after 20 letters, which are the same ones for all settings.
    """
    trials = study.get_trials(deepcopy=False)
    words = {name: name.split(".") for trial in trials for name in trial.params}
    short = {
        name: next(
            (
                ".".join(own[-count:])
                for count in range(1, len(own))
                if sum(other[-count:] == own[-count:] for other in words.values()) == 1
            ),
            name,
        )
        for name, own in words.items()
    }
    copy = optuna.create_study(directions=study.directions)
    for trial in trials:
        copy.add_trial(
            optuna.trial.create_trial(
                state=trial.state,
                values=trial.values,
                params={short[name]: value for name, value in trial.params.items()},
                distributions={short[name]: each for name, each in trial.distributions.items()},
                intermediate_values=trial.intermediate_values,
            )
        )
    return copy


def _plots(study: Study, sweep: Sweep) -> Iterator[tuple[str, Figure]]:
    """Optuna's, those that the trials suffice for."""
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    if not complete:
        return
    # Optuna sets a style, which later figures of this process would have, too
    with plt.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "PedAnova")  # of a target of ours: see _importances
        warnings.filterwarnings("ignore", "Attempting to set identical")  # where all are alike
        for index, name in enumerate(_names(sweep)):
            told = {"target": partial(_value, index), "target_name": name}
            yield f"history_{name}", _figure(optuna_plots.plot_optimization_history(study, **told))
            yield (
                f"parallel_coordinates_{name}",
                _figure(optuna_plots.plot_parallel_coordinate(study, **told)),
            )
            if len({trial.values[index] for trial in complete}) > 1:
                yield f"importances_{name}", _figure(_importances(study, index, name))
        if len(study.directions) == 2:
            front = optuna_plots.plot_pareto_front(study, target_names=_names(sweep))
            yield "front", _figure(front)
        if len(study.directions) == 1 and any(trial.intermediate_values for trial in complete):
            yield "epochs", _figure(optuna_plots.plot_intermediate_values(study))


def _value(index: int, trial: FrozenTrial) -> float:
    return trial.values[index]


def _importances(study: Study, index: int, name: str) -> Any:
    """For what makes the objective good; Optuna asks for what makes a target low."""
    sign = 1 if study.directions[index] == StudyDirection.MINIMIZE else -1
    return optuna_plots.plot_param_importances(
        study, target=lambda trial: sign * trial.values[index], target_name=name
    )


def _figure(axes: Any) -> Figure:
    figure = np.ravel(axes)[0].get_figure()
    figure.set_size_inches(10, 6)
    figure.set_layout_engine("tight")
    plt.close(figure)  # pyplot would keep it for ever
    return figure

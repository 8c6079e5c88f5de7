"""Tuning jobs: the search by itself, and whole jobs with real children."""

import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.sagemaker.aws_errors import AwsError
from localcloud.sagemaker.tuning.search import Range, Search
from tests.unit.localcloud.stage import BUCKET, Stage, eventually, training_request

LEARNING_RATE = {"Name": "learning_rate", "MinValue": "0.0001", "MaxValue": "1", "ScalingType": "Logarithmic"}
RANGES = {"ContinuousParameterRanges": [LEARNING_RATE]}
DEFINITION = {
    key: value
    for key, value in training_request("unused").items()
    if key not in ("TrainingJobName", "HyperParameters")
}


def request(name: str, static: dict[str, str] | None = None, **config: Any) -> dict[str, Any]:
    """A valid CreateHyperParameterTuningJob request; `config` replaces members of its configuration."""
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "val:map"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": RANGES,
            "RandomSeed": 1,
            **config,
        },
        "TrainingJobDefinition": DEFINITION | {"StaticHyperParameters": static or {}},
    }


def tuned(stage: Stage, job_request: dict[str, Any]) -> dict[str, Any]:
    stage.call("CreateHyperParameterTuningJob", **job_request)
    return stage.ended("HyperParameterTuningJob", job_request["HyperParameterTuningJobName"])


def children(stage: Stage, name: str, **options: Any) -> list[dict[str, Any]]:
    listed = stage.call(
        "ListTrainingJobsForHyperParameterTuningJob", HyperParameterTuningJobName=name, **options
    )
    summaries: list[dict[str, Any]] = listed["TrainingJobSummaries"]
    return summaries


class TestSearch:
    def config(self, strategy: str, **members: Any) -> dict[str, Any]:
        config: dict[str, Any] = request("t", Strategy=strategy, **members)["HyperParameterTuningJobConfig"]
        config["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 30
        return config

    def test_bayesian_search_comes_closer_to_the_optimum(self) -> None:
        search = Search("t", self.config("Bayesian"), 0)
        misses = []
        for _ in range(30):
            trial, hyperparameters = search.propose()
            misses.append(abs(math.log10(float(hyperparameters["learning_rate"]) / 0.3)))
            search.end_trial(trial, -misses[-1], stopped_early=False)
        assert statistics.median(misses[20:]) < statistics.median(misses[:10]) / 2

    def test_a_seed_repeats_a_search_but_not_after_a_restart(self) -> None:
        first, again, later = (Search("t", self.config("Random"), before) for before in (0, 0, 2))
        proposals = [first.propose()[1] for _ in range(4)]
        assert [again.propose()[1] for _ in range(4)] == proposals
        assert later.propose()[1] not in proposals

    def test_early_stopping_stops_trials_that_are_worse_than_the_median(self) -> None:
        search = Search("t", self.config("Random", TrainingJobEarlyStoppingType="Auto"), 0)
        for value in (0.5, 0.6, 0.7, 0.6, 0.5):
            trial, _ = search.propose()
            assert not search.should_stop(trial, [value, value])
            search.end_trial(trial, value, stopped_early=False)
        assert search.should_stop(search.propose()[0], [0.1, 0.1])
        assert not search.should_stop(search.propose()[0], [0.9, 0.9])

    def test_hyperband_stops_the_worse_trials_early(self) -> None:
        config = self.config("Hyperband", StrategyConfig={"HyperbandStrategyConfig": {"MaxResource": 9}})
        search = Search("t", config, 0)
        ended_early = []
        for number in range(30):
            trial, _ = search.propose()
            quality = (number * 7 % 30) / 30
            series = [quality] * 9
            ended_early.append(
                (any(search.should_stop(trial, series[:step]) for step in range(1, 10)), quality)
            )
            search.end_trial(trial, None if ended_early[-1][0] else quality, stopped_early=ended_early[-1][0])
        early = [quality for stopped, quality in ended_early if stopped]
        full = [quality for stopped, quality in ended_early if not stopped]
        assert len(early) >= 5
        assert statistics.mean(early) < statistics.mean(full)

    def test_earlier_trials_count(self) -> None:
        search = Search("t", self.config("Bayesian"), 12)
        for rate in (0.28, 0.29, 0.3, 0.31, 0.32) * 2:
            search.add_ended({"learning_rate": str(rate), "unknown": "x"}, 1.0, [1.0], stopped_early=False)
        for rate in (0.0002, 0.001, 0.005, 0.02, 0.1) * 2:
            search.add_ended({"learning_rate": str(rate)}, 0.0, [0.0], stopped_early=False)
        proposed = []
        for _ in range(9):
            trial, hyperparameters = search.propose()
            proposed.append(float(hyperparameters["learning_rate"]))
            search.end_trial(trial, None, stopped_early=False)
        assert 0.1 < statistics.median(proposed) <= 1

    @given(
        st.floats(1e-6, 0.9),
        st.floats(1e-6, 0.9),
        st.sampled_from(["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]),
    )
    def test_every_proposal_is_in_its_range_and_can_be_read_back(
        self, one: float, two: float, scaling: str
    ) -> None:
        low, high = sorted((one, two))
        definition = {"Name": "x", "MinValue": str(low), "MaxValue": str(high), "ScalingType": scaling}
        search = Search(
            "t", self.config("Random", ParameterRanges={"ContinuousParameterRanges": [definition]}), 0
        )
        hyperparameters = search.propose()[1]
        assert low - 1e-9 <= float(hyperparameters["x"]) <= high + 1e-9
        reading = Range(definition, float)
        assert reading.value(hyperparameters["x"]) is not None
        assert reading.value(str(high + 1)) is None

    def test_integers_and_choices_keep_their_types(self) -> None:
        ranges = {
            "IntegerParameterRanges": [{"Name": "n", "MinValue": "2", "MaxValue": "5"}],
            "CategoricalParameterRanges": [{"Name": "family", "Values": ["ssdlite", "fcos"]}],
        }
        search = Search("t", self.config("Random", ParameterRanges=ranges), 0)
        proposals = [search.propose()[1] for _ in range(30)]
        assert {hyperparameters["n"] for hyperparameters in proposals} == {"2", "3", "4", "5"}
        assert {hyperparameters["family"] for hyperparameters in proposals} == {"ssdlite", "fcos"}


class TestJobs:
    def test_children_run_and_the_best_is_named(self, stage: Stage) -> None:
        done = tuned(stage, request("three", {"epochs": "2"}))
        assert done["HyperParameterTuningJobStatus"] == "Completed"
        assert done["TrainingJobStatusCounters"]["Completed"] == 3
        assert done["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 0}
        ranked = children(stage, "three", SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
        assert done["BestTrainingJob"] == ranked[0] == done["OverallBestTrainingJob"]
        assert [child["TrainingJobName"][:10] for child in children(stage, "three")] == [
            "three-001-",
            "three-002-",
            "three-003-",
        ]
        best = ranked[0]["FinalHyperParameterTuningJobObjectiveMetric"]
        assert (best["Type"], best["MetricName"]) == ("Maximize", "val:map")
        rate = float(ranked[0]["TunedHyperParameters"]["learning_rate"])
        assert best["Value"] == pytest.approx((1 - abs(rate - 0.3)) * 2 / 3)
        child = stage.call("DescribeTrainingJob", TrainingJobName=ranked[0]["TrainingJobName"])
        assert child["TuningJobArn"] == done["HyperParameterTuningJobArn"]
        assert stage.model(child)["hyperparameters"] == {
            "epochs": "2",
            "_tuning_objective_metric": "val:map",
            **ranked[0]["TunedHyperParameters"],
        }
        with pytest.raises(AwsError, match="names must be unique") as taken:
            tuned(stage, request("three"))
        assert taken.value.code == "ResourceInUse"

        warm = request("warm", ResourceLimits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1})
        warm["WarmStartConfig"] = {
            "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "three"}],
            "WarmStartType": "IdenticalDataAndAlgorithm",
        }
        after = tuned(stage, warm)
        values = [
            child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
            for child in (*ranked, *children(stage, "warm"))
        ]
        overall = after["OverallBestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        assert overall == max(values)

    def test_a_grid_is_tried_completely(self, stage: Stage) -> None:
        ranges = {"CategoricalParameterRanges": [{"Name": "learning_rate", "Values": ["0.1", "0.3", "0.9"]}]}
        limits = {"MaxParallelTrainingJobs": 3}
        job_request = request("grid", Strategy="Grid", ParameterRanges=ranges, ResourceLimits=limits)
        done = tuned(stage, job_request)
        assert done["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"] == 3
        tried = [child["TunedHyperParameters"]["learning_rate"] for child in children(stage, "grid")]
        assert tried == ["0.1", "0.3", "0.9"]
        assert done["BestTrainingJob"]["TunedHyperParameters"] == {"learning_rate": "0.3"}

    def test_it_continues_after_a_restart_of_the_cloud(self, stage: Stage) -> None:
        job_request = request("on", {"epochs": "10", "seconds": "0.1"})
        job_request["TrainingJobDefinition"]["CheckpointConfig"] = {"S3Uri": f"s3://{BUCKET}/kept"}
        stage.call("CreateHyperParameterTuningJob", **job_request)
        eventually(lambda: len(children(stage, "on")) == 2)
        eventually(
            lambda: any("epoch=2" in stage.log(child["TrainingJobName"]) for child in children(stage, "on"))
        )
        before = {child["TrainingJobName"] for child in children(stage, "on")}
        stage.restart()
        done = stage.ended("HyperParameterTuningJob", "on")
        assert done["HyperParameterTuningJobStatus"] == "Completed"
        assert done["TrainingJobStatusCounters"]["Completed"] == 3
        after = children(stage, "on")
        assert before < {child["TrainingJobName"] for child in after}
        assert len({child["TunedHyperParameters"]["learning_rate"] for child in after}) == 3
        assert {key.split("/")[1] for key in stage.keys("kept/")} == {
            child["TrainingJobName"] for child in after
        }

    def test_children_that_share_a_checkpoint_prefix_keep_what_is_theirs(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LOUPE_LOCAL_TUNING_CHECKPOINTS", "shared")
        job_request = request("on", {"epochs": "2", "own_checkpoints": "yes"})
        job_request["TrainingJobDefinition"]["CheckpointConfig"] = {"S3Uri": f"s3://{BUCKET}/kept"}
        assert tuned(stage, job_request)["TrainingJobStatusCounters"]["Completed"] == 3
        names = {child["TrainingJobName"] for child in children(stage, "on")}
        assert set(stage.keys("kept/")) == {f"kept/{name}/epoch" for name in names}
        assert all("starting after epoch 0" in stage.log(name) for name in names)

    def test_stopping_it_stops_its_children(self, stage: Stage) -> None:
        stage.call("CreateHyperParameterTuningJob", **request("halt", {"epochs": "400", "seconds": "0.1"}))
        eventually(lambda: len(children(stage, "halt")) == 2)
        stage.call("StopHyperParameterTuningJob", HyperParameterTuningJobName="halt")
        done = stage.ended("HyperParameterTuningJob", "halt")
        assert (done["HyperParameterTuningJobStatus"], done["TrainingJobStatusCounters"]["Stopped"]) == (
            "Stopped",
            2,
        )
        with pytest.raises(AwsError, match="in status Stopped"):
            stage.call("StopHyperParameterTuningJob", HyperParameterTuningJobName="halt")

    def test_a_child_that_is_worse_than_the_parents_children_is_stopped(self, stage: Stage) -> None:
        near = {"Name": "learning_rate", "MinValue": "0.25", "MaxValue": "0.35"}
        limits = {"MaxNumberOfTrainingJobs": 5, "MaxParallelTrainingJobs": 2}
        good = {"ParameterRanges": {"ContinuousParameterRanges": [near]}, "ResourceLimits": limits}
        tuned(stage, request("good", {"epochs": "3"}, **good))
        job_request = request(
            "mixed",
            {"epochs": "30", "seconds": "0.1"},
            Strategy="Grid",
            TrainingJobEarlyStoppingType="Auto",
            ParameterRanges={
                "CategoricalParameterRanges": [{"Name": "learning_rate", "Values": ["1.2", "0.3"]}]
            },
            ResourceLimits={"MaxParallelTrainingJobs": 1},
        )
        parents = [{"HyperParameterTuningJobName": "good"}]
        warm = {"ParentHyperParameterTuningJobs": parents, "WarmStartType": "TransferLearning"}
        done = tuned(stage, job_request | {"WarmStartConfig": warm})
        assert done["HyperParameterTuningJobStatus"] == "Completed"
        bad, best = children(stage, "mixed")
        assert (bad["TrainingJobStatus"], bad["ObjectiveStatus"]) == ("Stopped", "Succeeded")
        assert "epoch=30" not in stage.log(bad["TrainingJobName"])
        assert best == done["BestTrainingJob"]

    def test_it_ends_when_the_target_value_is_reached(self, stage: Stage) -> None:
        criteria = {"TargetObjectiveMetricValue": 0.01}
        limits = {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 1}
        done = tuned(stage, request("enough", TuningJobCompletionCriteria=criteria, ResourceLimits=limits))
        assert done["HyperParameterTuningJobStatus"] == "Completed"
        assert done["TrainingJobStatusCounters"]["Completed"] == 1

    def test_it_fails_if_every_child_fails(self, stage: Stage) -> None:
        failed = tuned(stage, request("bad", {"fail": "no labels"}))
        assert failed["FailureReason"].startswith("No training job succeeded after 3 attempts.")
        assert failed["TrainingJobStatusCounters"]["NonRetryableError"] == 3
        assert "BestTrainingJob" not in failed
        assert len(children(stage, "bad")) == 3
        assert children(stage, "bad", SortBy="FinalObjectiveMetricValue") == []

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"ParameterRanges": {}}, "at least one"),
            ({"ParameterRanges": {"ContinuousParameterRanges": [LEARNING_RATE] * 2}}, "each of them once"),
            ({"Strategy": "Grid"}, "categorical ranges only"),
            (
                {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "f1"}},
                "MetricDefinitions",
            ),
            ({"ResourceLimits": {"MaxParallelTrainingJobs": 1}}, "MaxNumberOfTrainingJobs"),
            ({"Strategy": "Hyperband", "TrainingJobEarlyStoppingType": "Auto"}, "must be Off"),
            ({"ParameterRanges": {"IntegerParameterRanges": [LEARNING_RATE]}}, "not of numbers"),
            (
                {"ParameterRanges": {"ContinuousParameterRanges": [LEARNING_RATE | {"MinValue": "0"}]}},
                "above 0",
            ),
            (
                {"ParameterRanges": {"ContinuousParameterRanges": [LEARNING_RATE | {"MinValue": "2"}]}},
                "less than or equal to MaxValue",
            ),
        ],
    )
    def test_a_bad_request_is_refused(self, stage: Stage, config: dict[str, Any], message: str) -> None:
        with pytest.raises(AwsError) as caught:
            stage.call("CreateHyperParameterTuningJob", **request("bad", **config))
        assert caught.value.code == "ValidationException"
        assert message in caught.value.message

    def test_a_hyperparameter_is_static_or_tuned(self, stage: Stage) -> None:
        with pytest.raises(AwsError, match="not both: learning_rate"):
            stage.call("CreateHyperParameterTuningJob", **request("both", {"learning_rate": "1"}))

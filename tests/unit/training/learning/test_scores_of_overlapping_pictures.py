"""A faint defect is no farther than good pictures: a person decides, and the other scores still tell good from bad."""

from __future__ import annotations

import numpy as np
import pytest

from contract.scores import FAIL_SCORE, REVIEW_SCORE
from training.learning.anomalies.calibration import calibrate
from training.learning.anomalies.leave_one_out import Distances

GOOD = np.linspace(20, 31, 45)


def distances(pictures: np.ndarray) -> Distances:
    pictures = pictures.astype(np.float32)
    return Distances(pictures, np.repeat(pictures[:, None] / 2, 9, axis=1))


def test_a_faint_defect_goes_to_review_and_all_scores_still_differ():
    bad = np.append(np.linspace(33, 45, 20), 25.8)  # one is a faint defect
    scale = calibrate(distances(GOOD), distances(bad), 0.01, 0.0).scale
    assert REVIEW_SCORE <= scale.score(25.8) < FAIL_SCORE
    assert scale.score(20) < REVIEW_SCORE
    assert scale.score(33) >= FAIL_SCORE
    served = [round(scale.score(distance), 4) for distance in (31, 32, 33, 35)]
    assert served[0] <= 0.99
    assert sorted(set(served)) == served


def test_without_an_overlap_a_usual_good_picture_has_the_score_of_before():
    scale = calibrate(distances(GOOD), distances(np.linspace(40, 45, 20)), 0.01, 0.0).scale
    assert scale.score(float(np.median(GOOD))) == pytest.approx(0.02, abs=1e-3)

"""What ``check`` says of its findings: γ rising and named once, prompts by the data's own ids."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from sailtheory.analysis import ladder
from sailtheory.analysis.check import check
from sailtheory.certificates.prompts import Workers, certify_prompts
from sailtheory.problem.folder_write import write_folder
from sailtheory.problem.problem_file import load
from sailtheory.report.html_problem import problem_page
from sailtheory.report.words import priced, worst_prompts


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("ids") / "folder"
    write_folder(
        path, features=np.array([[1.0], [0.0], [0.0], [1.5]]), offsets=np.array([0, 2, 4]),
        preferences=np.array([0.5, 0.7, 0.3, 0.5, 0.5, 0.9, 0.1, 0.5]), beta=0.1, radius=1.0,
        ids=["tea", "coffee"],
    )  # fmt: skip
    return check(load(path))


def test_prompts_have_their_own_ids(report):
    assert worst_prompts(report) == "Prompts that need most: coffee, tea."


def test_prices_rise_with_gamma_and_equal_ones_share_a_line(report):
    names = [name for name, _ in priced(report)]
    levels = [float(name.split(" = ")[-1]) for name in names]
    assert levels == sorted(set(levels)) and names[0] == "0"
    assert names[-1].startswith("γ in use = closed form = ")


def test_jobs_share_the_prompts(report, monkeypatch):
    seen = []

    def here(source, plan):
        seen.append(plan.workers.jobs)
        return certify_prompts(source, replace(plan, workers=Workers()))

    monkeypatch.setattr(ladder, "certify_prompts", here)
    assert check(report.problem, jobs=3).ladder == report.ladder
    assert seen == [3]


def test_the_page_has_no_column_without_content(report):
    assert report.online.best.reward is None  # a matrix states no rewards
    table = problem_page(report, "x", 1.0).partition("What each earns")[2].partition("</table>")[0]
    assert "share" in table and "reward" not in table.partition("<thead>")[2]
    assert not re.search(r"<t[dh][^>]*></t[dh]>", table)

"""Gather the sources of the site: pages as written, and pages made of ledger and docstrings."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from docs.generate import claims, reference

ROOT = Path(__file__).parents[2]
_GUIDE = {
    "Check a problem": "check",
    "Preference data": "preference-data",
    "Training with rewards": "rewards",
    "Certificates": "certificates",
    "Rates": "rates",
    "Figures": "figures",
    "Python": "python",
    "Notebooks": "notebooks",
    "Check your own theorem": "your-own-theorem",
    "What you have to trust": "trust",
    "Machine-checked theorems": "formal",
    "Verdicts": "verdicts",
    "The paper's assumptions and theorems": "assumptions",
    "Theory": "theory",
    "How large must the KL be?": "how-large-kl",
    "Which KL does your trainer have?": "which-kl",
    "Other objectives and divergences": "objectives",
    "Which objective a loss follows": "loss-audit",
    "Does my run satisfy the theorem?": "audit-a-run",
    "Training language models": "llm-training",
    "Language models on several processes": "llm-scale",
    "MuJoCo runs": "control",
}
_MEASURED = {
    "Tightness": "studies/tightness",
    "How far certificates reach": "studies/certificates",
    "Thresholds on preference data": "studies/data_thresholds",
    "Planted falsehoods": "falsehoods",
    "Trust in the search": "studies/search_trust",
    "Rates, predicted and measured": "studies/dynamics",
    "Sample complexity": "studies/sample_complexity",
    "Fits of rates": "studies/rates_validation",
    "Networks": "networks",
    "Control: the core": "studies/sac_equivalence",
    "Control: the arms": "studies/control_arms",
    "Control: sail on a point mass": "studies/point_mass",
    "Control: sail on cheetah-run": "studies/cheetah_sail",
    "Control: the dose of the KL": "studies/kl_dose",
    "Which objective learns": "studies/sequence_arms",
    "The prefix ratio along a run": "studies/prefix_ratio",
    "The KL of a reward": "studies/reward_kl",
    "The head of a language model": "studies/language_head",
    "SmolLM2, a pilot of three arms": "studies/smollm_online",
    "Language models, a pilot": "studies/llm_arms",
    "Log-linear or not": "studies/log_linear",
}


def gather(target: Path) -> None:
    """Write every source of the site into an empty folder.

    Raises:
        ValueError: The committed ledger is not of the claims as they are, or a file at the
            root links to a file that does not exist.
    """
    (target / "studies").mkdir()
    for page in sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("studies/*/page.md")]):
        name = _site_name(page)
        up = "../" * name.count("/")
        text = relink(page.read_text(encoding="utf-8"), page.parent, up)
        (target / name).write_text(text, encoding="utf-8")
    shutil.copytree(
        ROOT / "figures", target / "figures", ignore=lambda _, names: _all_but_images(names)
    )
    made = [*claims.pages(), *reference.pages()]
    groups = {
        "Guide": _GUIDE,
        "Claims": _entries(made, "claims/"),
        "Measured": _MEASURED,
        "Reference": _entries(made, "reference/") | {"Contributing": "contributing"},
    }
    for path, _, content in made:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(content, encoding="utf-8")
    readme, contributing = (
        relink((ROOT / name).read_text(encoding="utf-8"))
        for name in ("README.md", "CONTRIBUTING.md")
    )
    trees = "".join(_toctree(name, entries) for name, entries in groups.items())
    (target / "index.md").write_text(f"{readme}\n{trees}", encoding="utf-8")
    (target / "contributing.md").write_text(contributing, encoding="utf-8")
    static = target / "_static"
    static.mkdir()
    shutil.copy(Path(__file__).with_name("style.css"), static)
    shutil.copy(ROOT / "sailtheory" / "report" / "page.js", static)


def _entries(made: Iterable[tuple[str, str, str]], folder: str) -> dict[str, str]:
    return {title: path.removesuffix(".md") for path, title, _ in made if path.startswith(folder)}


def _toctree(caption: str, entries: dict[str, str]) -> str:
    lines = "".join(f"{title} <{path}>\n" for title, path in entries.items())
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{lines}```\n"


def _all_but_images(names: Iterable[str]) -> set[str]:
    return {name for name in names if not name.endswith(".png")}


def _site_name(page: Path) -> str:
    """Where a page of docs/ or of a study stands in the site."""
    return f"studies/{page.parent.name}.md" if page.name == "page.md" else page.name


def relink(markdown: str, base: Path = ROOT, up: str = "") -> str:
    """Links of a file in ``base``, for the site: images and pages, other files to their names.

    ``up`` leads from the page to the top of the site.
    """

    def link(match: re.Match[str]) -> str:
        words, target = match["words"], match["target"]
        if target.startswith(("http", "#")):
            return match[0]
        path, _, anchor = target.partition("#")
        if not (base / path).exists():
            raise ValueError(f"{target} does not exist")
        name = (base / path).resolve().relative_to(ROOT).as_posix()
        if match["image"]:
            return f"![{words}]({up}{name})"
        if (name.startswith("docs/") and name.endswith(".md")) or name.endswith("/page.md"):
            to = _site_name(ROOT / name)
            return f"[{words}]({up}{to}{'#' if anchor else ''}{anchor})"
        if name == "CONTRIBUTING.md":
            return f"[{words}]({up}contributing.md)"
        return f"`{name}`" if words in (target, name) else f"{words} (`{name}`)"

    return re.sub(r"(?P<image>!?)\[(?P<words>[^\]]+)\]\((?P<target>[^)\s]+)\)", link, markdown)

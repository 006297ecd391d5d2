"""Draws what ``bench.placement`` has measured: JSON on stdin, the picture's path as argument.

Runs by itself, in the environment that has matplotlib.
"""

from __future__ import annotations

import json
import sys

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt  # the backend is chosen before


def main(path: str) -> None:
    """One panel a question: milliseconds by hosts, both on logarithmic axes."""
    questions = json.load(sys.stdin)
    titles = list(dict.fromkeys(question["what"] for question in questions))
    columns = 2
    rows = -(-len(titles) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(11, 3.2 * rows), squeeze=False)
    for panel in axes.flat[len(titles) :]:
        panel.axis("off")
    for panel, title in zip(axes.flat, titles, strict=False):
        _panel(panel, title, [one for one in questions if one["what"] == title])
    axes.flat[0].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _panel(panel: object, title: str, questions: list[dict]) -> None:
    for number, name in enumerate(questions[0]["ms"]):
        colour = f"C{number}"
        answered = [(one["hosts"], one["ms"][name]) for one in questions if one["ms"][name]]
        panel.plot(*zip(*answered, strict=True), "o-", color=colour, label=name) if answered else 0
        given_up = [
            (one["hosts"], one["bound_ms"][name]) for one in questions if name in one["bound_ms"]
        ]
        for hosts, bound_ms in given_up:
            panel.plot(hosts, bound_ms, "^", color=colour)
            panel.annotate("no answer", (hosts, bound_ms), fontsize="x-small", color=colour)
    panel.set(title=title, xscale="log", yscale="log", xlabel="hosts", ylabel="ms")
    panel.title.set_fontsize("small")
    panel.grid(visible=True, alpha=0.3)


if __name__ == "__main__":
    main(sys.argv[1])

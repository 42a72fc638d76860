"""The results as a table in Markdown, and what its reader has to know of the machine."""

import datetime
import os
import platform
import re
import statistics
from pathlib import Path

from rows import GROWING, GROWTH, Figure, Goal
from servers import BenchError, output

COLUMNS = ["A", "B", "floor"]
NOTHING = "–"


def number(value):
    """With three digits that count."""
    size = abs(value)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def spread(turns):
    """The median, and in brackets the least and the greatest of the turns, if there are several."""
    if not turns:
        return NOTHING
    brackets = f" ({number(min(turns))}–{number(max(turns))})" if len(turns) > 1 else ""
    return number(statistics.median(turns)) + brackets


def divided(turns, others):
    """Turn by turn: so that what slows the machine down for a while slows both."""
    return [a / b for a, b in zip(turns, others)]


def line(name, title, figure, turns):
    """One figure; turns are its values by column, empty where nothing was measured."""
    ratios = {"A": turns["A"], "B": divided(turns["A"], turns["B"])}
    ratios["floor"] = divided(turns["A"], turns["floor"])
    verdicts = []
    for goal in figure.goals:
        of = ratios[goal.of]
        reached = of and goal.is_reached(statistics.median(of))
        verdicts.append(NOTHING if not of else "yes" if reached else "**no**")
    cells = [name, title + (f", {figure.unit}" if figure.unit else "")]
    cells += [spread(turns[column]) for column in COLUMNS]
    cells += [spread(ratios["B"]), spread(ratios["floor"])]
    cells += ["; ".join(map(str, figure.goals)) or NOTHING, "; ".join(verdicts) or NOTHING]
    return f"| {' | '.join(cells)} |"


def values(measured, row, figure):
    """By column; measured has the list of a row's measurements under its name and column."""
    return {column: [figure.value(one) for one in measured.get((row.name, column), [])] for column in COLUMNS}


def growth(measured, rows):
    """How many times more a sample costs with the most expensive of the greater numbers of clients."""
    costs = [values(measured, row, row.figures[0]) for row in rows]
    turns = {}
    for column in COLUMNS:
        least, *greater = [cost[column] for cost in costs]
        turns[column] = divided(map(max, zip(*greater)), least)
    figure = Figure(GROWTH, "", None, (Goal("≤", 1.2),))
    title = "server CPU per delivered sample, the greatest of 100 and 1000 subscribers ÷ 10"
    return line(GROWTH, title, figure, turns)


def table(measured, rows):
    """One line for each figure, and the growth if its rows are there."""
    head = ["row", "figure", *COLUMNS, "A ÷ B", "A ÷ floor", "to reach", "reached"]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for row in rows:
        for figure in row.figures:
            lines.append(line(row.name, f"{row.title}: {figure.title}", figure, values(measured, row, figure)))
    growing = [row for row in rows if row.name in GROWING]
    if len(growing) == len(GROWING):
        lines.append(growth(measured, growing))
    return "\n".join(lines)


def facts(contenders):
    """Of the machine and the programs, by column, as a list in Markdown."""
    cpu = re.search(r"^model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(), re.M)
    day = datetime.datetime.now(datetime.timezone.utc).date()
    lines = [
        f"- {day}, {cpu[1] if cpu else platform.machine()}, {len(os.sched_getaffinity(0))} cores, Linux"
        f" {platform.release()}",
        f"- load average before: {os.getloadavg()[0]:.2f}, niceness: {os.getpriority(os.PRIO_PROCESS, 0)}",
    ]
    for column, executable in contenders.items():
        version = output(executable, "--version")
        lines.append(f"- {column}: {version}{commit(executable)}{java_version(executable)}, {executable}")
    return "\n".join(lines)


def commit(executable):
    """Of the checkout that a program lies in."""
    try:
        folder = os.path.dirname(os.path.abspath(executable))
        return " at " + output("git", "-C", folder, "describe", "--always", "--dirty")
    except BenchError:
        return ""


def java_version(executable):
    """Of an image."""
    release = Path(executable).absolute().parent.parent / "lib/runtime/release"
    found = release.exists() and re.search(r'JAVA_VERSION="([^"]+)', release.read_text())
    return f" on Java {found[1]}" if found else ""

#!/usr/bin/env python3
"""That the figures are of what they are said to be: zeusd-bench/run test EXECUTABLE."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

MAIN = Path(__file__).resolve().parents[2] / "main/python"
sys.path.insert(0, str(MAIN))
from compare import Launcher  # noqa: E402
from rows import GET_POWER, GROWTH, ROWS, STREAM_POWER, STREAMS, WRITES, Figure, Goal  # noqa: E402
from servers import BenchError, Load  # noqa: E402
from table import line  # noqa: E402

NATIVE_DIR, FAKE_NVML_DIR, DAEMON = sys.argv[1:4]
NUMBER = r"-?\d+(\.\d+)?"
SPREAD = rf"{NUMBER} \({NUMBER}–{NUMBER}\)"
SLOW_MICROS = 30_000


class Lines(unittest.TestCase):
    def test_medians_spreads_and_ratios_of_the_same_turn(self):
        figure = Figure("p50", "µs", None, (Goal("≤", 0.5, "B"), Goal("≤", 1.5, "floor")))
        turns = {"A": [10, 40, 12], "B": [20, 100, 22], "floor": [8, 8, 8]}
        # 10/20, 40/100, 12/22: the turn in which the machine was slow does not spoil the ratio.
        self.assertEqual(
            "| row | title, µs | 12.0 (10.0–40.0) | 22.0 (20.0–100) | 8.00 (8.00–8.00)"
            " | 0.500 (0.400–0.545) | 1.50 (1.25–5.00) | ≤ 0.5 × B; ≤ 1.5 × floor | yes; yes |",
            line("row", "title", figure, turns),
        )

    def test_a_missed_goal_stands_out_and_one_that_cannot_be_judged_is_left_open(self):
        figure = Figure("RSS", "", None, (Goal("≥", 1.2, "B"), Goal("≤", 20.0)))
        self.assertEqual(
            "| row | title | 20.8 (20.5–21.0) | – | – | – | – | ≥ 1.2 × B; ≤ 20.0 | –; **no** |",
            line("row", "title", figure, {"A": [20.5, 21.0], "B": [], "floor": []}),
        )


class Generator(unittest.TestCase):
    """One daemon for all tests."""

    @classmethod
    def setUpClass(cls):
        opened = contextlib.ExitStack()
        cls.addClassCleanup(opened.close)
        cls.scratch = opened.enter_context(tempfile.TemporaryDirectory(prefix="zeusd-bench"))
        cls.server = opened.enter_context(Launcher(NATIVE_DIR, FAKE_NVML_DIR, cls.scratch).daemon(DAEMON, STREAMS))
        cls.load = Load(os.path.join(NATIVE_DIR, "load"))

    def run_load(self, mode, request, *options):
        return self.load.run(self.server, mode, request, *options)

    def test_slow_driver_calls_are_seen_from_the_first_request_on(self):
        self.server.driver.delay_calls(SLOW_MICROS)
        try:
            slow = self.run_load("serial", GET_POWER, "-n", 4)
            self.assertEqual(4, slow["count"])
            self.assertGreaterEqual(slow["p50_us"], SLOW_MICROS)
            self.assertLessEqual(slow["per_second"], 1e6 / SLOW_MICROS)
            # Due every 10 ms, answered every 30 ms at best: the last of 10 waits for those before it.
            paced = self.run_load("paced", GET_POWER, "-c", 2, "-z", 100, "-n", 10)
            self.assertGreaterEqual(paced["max_us"], 10 * SLOW_MICROS - 9 * 10_000)
        finally:
            self.server.driver.delay_calls(0)

    def test_each_subscriber_counts_once_for_each_value(self):
        streams = self.run_load("stream", STREAM_POWER, "-c", 20, "-n", 1600)
        # Of 4 GPUs, 20 values each: a first one, and 19 after a 20th of a second each.
        self.assertGreaterEqual(streams["count"], 1600)
        self.assertGreaterEqual(streams["seconds"], 0.8)
        self.assertGreater(streams["p50_us"], 0)
        self.assertGreater(streams["cpu_us"], 0)
        self.assertGreater(streams["rss_after_kib"], 10_000)  # no JVM is that small

    def test_streams_are_held_until_stdin_ends(self):
        command = [*self.load.command, "-i", "-c", "3", "stream", self.server.address, STREAM_POWER]
        held = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.assertEqual("ready\n", held.stdout.readline())
        self.assertIsNone(held.poll())
        found, _ = held.communicate()
        self.assertRegex(found, r"^count=\d+ ")
        self.assertEqual(0, held.returncode)

    def test_a_daemon_that_starts_is_waited_for(self):
        address = os.path.join(self.scratch, "later.sock")
        command = [*self.load.command, "first", address, "GET /time"]
        first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with self.assertRaises(subprocess.TimeoutExpired):  # it does not give up
            first.wait(0.2)
        os.link(self.server.address, address)
        self.assertRegex(first.communicate(timeout=60)[0], r"^answered_ns=\d+\n$")

    def test_several_requests_are_sent_in_turn(self):
        command = [*self.load.command, "-n", "3", "serial", self.server.address, "GET /time", "GET /nothing"]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        self.assertEqual(1, done.returncode)
        self.assertIn("GET /nothing", done.stderr)

    def test_answers_that_are_no_success_fail_the_measurement(self):
        for mode in "first", "serial", "connect", "paced", "many", "stream":
            with self.assertRaisesRegex(BenchError, "404"):
                self.run_load(mode, "GET /nothing", "-n", 1, "-s", 5)


class Compare(unittest.TestCase):
    """The whole comparison, so briefly that its figures mean nothing."""

    def compare(self, *arguments):
        command = [sys.executable, MAIN / "compare.py", "--native-dir", NATIVE_DIR]
        command += ["--fake-nvml-dir", FAKE_NVML_DIR, "--seconds", "0.1", "--stream-seconds", "0.3"]
        return subprocess.run([*command, "--warm-up", "100", *arguments], capture_output=True, text=True)

    @staticmethod
    def table(done):
        """The table's lines without its head, in cells."""
        lines = [text for text in done.stdout.splitlines() if text.startswith("| ")][2:]
        return [[cell.strip() for cell in text.split("|")[1:-1]] for text in lines]

    def test_every_row_has_figures_of_one_daemon(self):
        names = [row.name for row in ROWS if os.geteuid() == 0 or row.setup is not WRITES]
        done = self.compare("--a", DAEMON, "--turns", "1", "--rows", ",".join(names))
        self.assertEqual(0, done.returncode, done.stderr)
        for cells in self.table(done):
            self.assertRegex(cells[2], f"^{NUMBER}$")
            self.assertEqual("–", cells[3])
        self.assertEqual([*names, GROWTH], list(dict.fromkeys(cells[0] for cells in self.table(done))))
        self.assertRegex(done.stdout, r"\n- A: zeusd [0-9.]+")

    def test_two_daemons_are_compared_with_each_other_and_with_the_floor(self):
        done = self.compare("--a", DAEMON, "--b", DAEMON, "--turns", "2", "--rows", "get-power-uds")
        self.assertEqual(0, done.returncode, done.stderr)
        p50 = self.table(done)[0]
        for cell in p50[2:7]:
            self.assertRegex(cell, f"^{SPREAD}$")
        self.assertRegex(p50[8], r"^(yes|\*\*no\*\*); (yes|\*\*no\*\*)$")

    def test_a_daemon_that_does_not_start_is_named(self):
        with tempfile.TemporaryDirectory() as scratch:
            broken = os.path.join(scratch, "zeusd")
            with open(os.open(broken, os.O_WRONLY | os.O_CREAT, 0o700), "w") as file:
                file.write("#!/bin/sh\n[ $1 = --version ] || { echo no luck; exit 1; }\n")
            done = self.compare("--a", broken, "--rows", "cold-start")
        self.assertEqual(1, done.returncode)
        self.assertIn("does not listen", done.stderr)
        self.assertIn("no luck", done.stderr)

    def test_unknown_rows_are_refused(self):
        done = self.compare("--a", "zeusd", "--rows", "cold-start,warm-start")
        self.assertEqual(2, done.returncode)
        self.assertIn("no row 'warm-start'", done.stderr)
        self.assertIn("idle-memory", done.stderr)

    def test_every_row_is_described(self):
        page = (Path(__file__).resolve().parents[4] / "docs/performance.md").read_text()
        described = page[page.index("## The rows") : page.index("## Benchmarks of single parts")]
        for row in [row.name for row in ROWS] + [GROWTH]:
            if not re.fullmatch("streams-10+", row):  # a range
                self.assertIn(f"`{row}`", described)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=2)

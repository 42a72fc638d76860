package dev.zeusd.bench;

import java.io.PrintWriter;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * Measures rows: the servers run at the same time, one of them is under load, in turns A B A B.
 * What it does meanwhile, it tells line by line.
 */
final class Comparison {
  /** Longer than a thread waits for its turn on a machine that is merely busy with this. */
  private static final long STALL_MILLIS = 500;

  private static final int MAX_REPEATS = 30;

  private final Launcher launcher;
  private final LoadGenerator load;
  private final Effort effort;
  private final Map<Column, Contender> contenders;
  private final PrintWriter progress;
  private final List<Row> rows;
  private final Results results;
  private final StallWatch stalls = new StallWatch();
  private int repeats;

  Comparison(
      Launcher launcher,
      LoadGenerator load,
      Effort effort,
      Map<Column, Contender> contenders,
      List<Row> rows,
      PrintWriter progress) {
    this.launcher = launcher;
    this.load = load;
    this.effort = effort;
    this.contenders = new EnumMap<>(contenders);
    this.rows = rows;
    this.progress = progress;
    this.results = new Results(rows);
  }

  /**
   * Measures everything. A turn in which the machine stood still is repeated.
   *
   * @throws BenchException if a server does not start; what fails later is part of the results
   */
  Results run() throws BenchException, InterruptedException {
    try (stalls) {
      measureAll();
    }
    return results;
  }

  private void measureAll() throws BenchException, InterruptedException {
    for (Setup setup : Setup.values()) {
      List<Row> together = rows.stream().filter(row -> row.setup() == setup).toList();
      if (setup == Setup.NEW_PROCESS) {
        for (Row row : together) {
          measureNewProcesses(row);
        }
      } else if (!together.isEmpty()) {
        measureTogether(setup, together);
      }
    }
  }

  private void measureNewProcesses(Row row) throws BenchException, InterruptedException {
    for (int turn = 1; turn <= effort.turns(); turn++) {
      for (Map.Entry<Column, Contender> contender : contenders.entrySet()) {
        boolean done;
        do {
          try (Server server = launcher.daemon(contender.getValue(), row.setup())) {
            warmUp(row, contender.getKey(), server);
            done = measure(row, turn, contender.getKey(), server);
          }
        } while (!done);
      }
    }
  }

  private void measureTogether(Setup setup, List<Row> together)
      throws BenchException, InterruptedException {
    Map<Column, Server> servers = new EnumMap<>(Column.class);
    try {
      for (Map.Entry<Column, Contender> contender : contenders.entrySet()) {
        servers.put(contender.getKey(), launcher.daemon(contender.getValue(), setup));
      }
      if (together.stream().anyMatch(Row::hasFloor)) {
        servers.put(Column.FLOOR, launcher.echo(setup, responseBytes(servers.get(Column.A))));
      }
      for (Row row : together) {
        Map<Column, Server> measured = new EnumMap<>(servers);
        if (!row.hasFloor()) {
          measured.remove(Column.FLOOR);
        }
        measure(row, measured);
      }
    } finally {
      servers.values().forEach(Server::close);
    }
  }

  private long responseBytes(Server server) throws BenchException, InterruptedException {
    Measurement one = load.run(server, List.of("-n", "1"), "serial", Rows.GET_POWER);
    return (long) one.get("bytes");
  }

  private void measure(Row row, Map<Column, Server> servers) throws InterruptedException {
    for (Map.Entry<Column, Server> server : servers.entrySet()) {
      warmUp(row, server.getKey(), server.getValue());
      server.getValue().awaitQuiet();
    }
    for (int turn = 1; turn <= effort.turns(); turn++) {
      for (Map.Entry<Column, Server> server : servers.entrySet()) {
        boolean done;
        do {
          done = measure(row, turn, server.getKey(), server.getValue());
          server.getValue().awaitQuiet();
        } while (!done);
      }
    }
  }

  private void warmUp(Row row, Column column, Server server) throws InterruptedException {
    try {
      row.workload().warmUp(load, effort, server);
    } catch (BenchException e) {
      fail(row, column, e);
    }
  }

  /** False if it is to be done once more. */
  private boolean measure(Row row, int turn, Column column, Server server)
      throws InterruptedException {
    if (results.hasFailed(row, column)) {
      return true;
    }
    stalls.takeLongestMillis();
    try {
      Measurement measurement = row.workload().measure(load, effort, server);
      if (hasStalled(row, turn, column)) {
        return false;
      }
      results.add(row, column, measurement);
      progress.printf("%s, turn %d, %s: %s%n", row.name(), turn, column, row.shown(measurement));
    } catch (BenchException e) {
      if (hasStalled(row, turn, column)) {
        return false;
      }
      fail(row, column, e);
    }
    return true;
  }

  private boolean hasStalled(Row row, int turn, Column column) {
    long millis = stalls.takeLongestMillis();
    if (millis < STALL_MILLIS || repeats == MAX_REPEATS) {
      return false;
    }
    repeats++;
    progress.printf(
        "%s, turn %d, %s: once more, the machine stood still for %d ms%n",
        row.name(), turn, column, millis);
    return true;
  }

  private void fail(Row row, Column column, BenchException why) {
    results.fail(row, column, why.getMessage());
    progress.printf("%s, %s: %s%n", row.name(), column, why.getMessage());
  }
}

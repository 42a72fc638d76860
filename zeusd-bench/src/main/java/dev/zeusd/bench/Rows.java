package dev.zeusd.bench;

import static dev.zeusd.bench.Goal.Of.A;
import static dev.zeusd.bench.Goal.Of.A_TO_B;
import static dev.zeusd.bench.Goal.Of.A_TO_FLOOR;
import static dev.zeusd.bench.Goal.atLeast;
import static dev.zeusd.bench.Goal.atMost;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.ToDoubleFunction;

/** All rows that there are. */
final class Rows {
  /** Stands for the rows that the line of this name is made of. */
  static final String GROWTH = "growth";

  /** What a stream's sample costs the server, in µs. */
  static final ToDoubleFunction<Measurement> CPU_PER_SAMPLE = m -> m.get("cpu_us");

  static final String GET_POWER = "GET /gpu/get_power";

  private static final String STREAMS = "streams-";
  private static final List<Integer> GROWTH_SUBSCRIBERS = List.of(10, 100, 1000);
  private static final String SET_POWER_LIMIT =
      "POST /gpu/set_power_limit?gpu_ids=0,1,2,3&power_limit_mw=250000&block=true";

  /** All of them, as they stand in the table. */
  static final List<Row> ALL =
      List.of(
          new Row(
              "get-power-uds",
              "GET get_power, 1 keep-alive connection, Unix socket",
              Setup.UNIX_SOCKET,
              true,
              new Workload.Requests("serial", 1, GET_POWER),
              List.of(
                  Figure.micros("p50", "p50_us", atMost(1.0, A_TO_B), atMost(1.5, A_TO_FLOOR)),
                  Figure.micros("p99", "p99_us", atMost(1.0, A_TO_B)))),
          new Row(
              "get-power-tcp",
              "GET get_power, 1 keep-alive connection, TCP",
              Setup.TCP,
              true,
              new Workload.Requests("serial", 1, GET_POWER),
              List.of(
                  Figure.micros("p50", "p50_us", atMost(1.0, A_TO_B)),
                  Figure.micros("p99", "p99_us", atMost(1.0, A_TO_B)))),
          new Row(
              "connect-uds",
              "GET get_power, a new connection for each, Unix socket",
              Setup.UNIX_SOCKET,
              true,
              new Workload.Requests("connect", 1, GET_POWER),
              List.of(
                  Figure.micros("p50", "p50_us", atMost(1.0, A_TO_B)),
                  Figure.micros("p99", "p99_us"))),
          new Row(
              "set-power-limit",
              "POST set_power_limit, block=true, 4 GPUs",
              Setup.WRITES,
              false,
              new Workload.Requests("serial", 1, SET_POWER_LIMIT),
              List.of(
                  Figure.micros("p50", "p50_us", atMost(1.0, A_TO_B)),
                  Figure.micros("p99", "p99_us", atMost(1.0, A_TO_B)))),
          new Row(
              "many-32",
              "GET get_power, 32 connections",
              Setup.UNIX_SOCKET,
              true,
              new Workload.Requests("many", 32, GET_POWER),
              List.of(
                  perSecond(atLeast(1.2, A_TO_B)),
                  Figure.micros("server CPU per request", "cpu_us", atMost(1.0, A_TO_B)))),
          new Row(
              "many-32-auth",
              "GET get_power with a token, 32 connections",
              Setup.AUTH,
              false,
              new Workload.Requests("many", 32, GET_POWER),
              List.of(
                  perSecond(atLeast(1.2, A_TO_B)),
                  Figure.micros("server CPU per request", "cpu_us"))),
          streams(1, 1.0, atMost(1.0, A_TO_B)),
          streams(10, 0.8),
          streams(100, 0.5),
          streams(1000, 0.35, atMost(1.0, A_TO_B)),
          streams("slow-streams", Setup.SLOW_READS, new Workload.Streams(1, 8), 1.0),
          new Row(
              "slow-reads",
              "GET get_power of 4 GPUs whose reads take 300 µs",
              Setup.SLOW_READS,
              false,
              new Workload.Requests("serial", 1, GET_POWER + "?gpu_ids=0,1,2,3"),
              List.of(
                  Figure.micros("p50", "p50_us", atMost(1.0, A_TO_B)),
                  Figure.micros("p99", "p99_us"))),
          new Row(
              "slow-driver",
              "GET /time while driver calls take 300 ms, 8 writes in flight",
              Setup.WRITES,
              false,
              new Workload.SlowDriver(8, SET_POWER_LIMIT, Duration.ofMillis(300), "GET /time"),
              List.of(Figure.millis("p99", "p99_us", atMost(0.1, A_TO_B)))),
          new Row(
              "cold-start",
              "GET get_power, the first 100 after the start",
              Setup.NEW_PROCESS,
              false,
              new Workload.First(100, GET_POWER),
              List.of(Figure.micros("p50", "p50_us", atMost(150, A)))),
          idleMemory(1000));

  private Rows() {}

  private static Figure perSecond(Goal goal) {
    return new Figure("requests per second", "1/s", m -> m.get("per_second"), List.of(goal));
  }

  private static Row streams(int subscribers, double mostCpuToB, Goal... lagGoals) {
    return streams(
        STREAMS + subscribers,
        Setup.STREAMS,
        new Workload.Streams(subscribers, Setup.STREAMS.gpus()),
        mostCpuToB,
        lagGoals);
  }

  private static Row streams(
      String name, Setup setup, Workload.Streams workload, double mostCpuToB, Goal... lagGoals) {
    return new Row(
        name,
        "streams, %d × %d GPUs × 20 Hz%s"
            .formatted(
                workload.subscribers(),
                workload.gpus(),
                setup == Setup.SLOW_READS ? ", reads of 300 µs" : ""),
        setup,
        false,
        workload,
        List.of(
            new Figure(
                "server CPU per delivered sample",
                "µs",
                CPU_PER_SAMPLE,
                List.of(atMost(mostCpuToB, A_TO_B))),
            Figure.millis("p99 of arrival − timestamp_ms", "p99_us", lagGoals),
            new Figure("delivered", "%", m -> 100 * workload.delivered(m), List.of())));
  }

  private static Row idleMemory(int subscribers) {
    Workload.IdleSubscribers workload = new Workload.IdleSubscribers(subscribers);
    return new Row(
        "idle-memory",
        "memory per subscriber, " + subscribers + " on steady power",
        Setup.NEW_PROCESS,
        false,
        workload,
        List.of(new Figure("RSS", "KiB", workload::kibEach, List.of(atMost(14, A)))));
  }

  /**
   * The rows with these names; the beginning of a name is enough, and stands for all that begin so.
   *
   * @throws IllegalArgumentException naming one that is no row's
   */
  static List<Row> named(List<String> names) {
    Set<Row> chosen = new LinkedHashSet<>();
    for (String name : names) {
      List<Row> found = find(name);
      if (found.isEmpty()) {
        throw new IllegalArgumentException(
            "no row '%s'; there are %s, %s"
                .formatted(name, String.join(", ", ALL.stream().map(Row::name).toList()), GROWTH));
      }
      chosen.addAll(found);
    }
    return ALL.stream().filter(chosen::contains).toList();
  }

  private static List<Row> find(String name) {
    if (name.equals(GROWTH)) {
      return GROWTH_SUBSCRIBERS.stream().flatMap(n -> find(STREAMS + n).stream()).toList();
    }
    List<Row> found = new ArrayList<>();
    for (Row row : ALL) {
      if (row.name().equals(name)) {
        return List.of(row);
      }
      if (row.name().startsWith(name)) {
        found.add(row);
      }
    }
    return found;
  }
}

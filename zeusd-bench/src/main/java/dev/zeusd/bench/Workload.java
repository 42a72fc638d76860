package dev.zeusd.bench;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** What is done to a server in a row. */
interface Workload {
  /** Lets the server get to know the load, untimed, before the first turn. */
  void warmUp(LoadGenerator load, Effort effort, Server server)
      throws BenchException, InterruptedException;

  /** One turn. */
  Measurement measure(LoadGenerator load, Effort effort, Server server)
      throws BenchException, InterruptedException;

  /**
   * The same request over and over.
   *
   * @param mode how: {@code serial}, {@code connect} or {@code many}, as load.c explains
   */
  record Requests(String mode, int connections, String request) implements Workload {
    @Override
    public void warmUp(LoadGenerator load, Effort effort, Server server)
        throws BenchException, InterruptedException {
      load.run(server, options("-c", connections, "-n", effort.warmUpRequests()), mode, request);
    }

    @Override
    public Measurement measure(LoadGenerator load, Effort effort, Server server)
        throws BenchException, InterruptedException {
      List<String> options = options("-c", connections, "-s", effort.seconds());
      return load.run(server, options, mode, request);
    }
  }

  /** Subscribers of all GPUs' power, whose values all change with every reading. */
  record Streams(int subscribers, int gpus) implements Workload {
    static final String REQUEST = "GET /gpu/stream_power";

    /** With few of them it would take minutes. */
    private static final int WARM_UP_SUBSCRIBERS = 1000;

    /** What happens once a tick is no matter of how many there are. */
    private static final int WARM_UP_SECONDS = 20;

    private static final double SETTLE_SECONDS = 1;

    /** The daemons' default. */
    private static final double HZ = 20;

    @Override
    public void warmUp(LoadGenerator load, Effort effort, Server server)
        throws BenchException, InterruptedException {
      // What is written to a subscriber at a time counts as a request.
      int events = effort.warmUpRequests() * gpus;
      load.run(server, options("-c", WARM_UP_SUBSCRIBERS, "-n", events), "stream", REQUEST);
      double seconds = Math.min(WARM_UP_SECONDS, 5 * effort.streamSeconds());
      load.run(server, options("-c", subscribers, "-s", seconds), "stream", REQUEST);
    }

    @Override
    public Measurement measure(LoadGenerator load, Effort effort, Server server)
        throws BenchException, InterruptedException {
      double settle = Math.min(SETTLE_SECONDS, effort.streamSeconds());
      List<String> options = options("-c", subscribers, "-w", settle, "-s", effort.streamSeconds());
      return load.run(server, options, "stream", REQUEST);
    }

    /** The part of the values that arrived. */
    double delivered(Measurement measurement) {
      return measurement.get("per_second") / (subscribers * gpus * HZ);
    }
  }

  /** Short requests while all GPUs take long for everything, and some clients wait for them. */
  record SlowDriver(int writers, String write, Duration delay, String read) implements Workload {
    private static final double READS_PER_SECOND = 200;
    private static final long HEAD_START_MILLIS = 300;
    private static final int UNTIL_CLOSED_SECONDS = 3600;

    @Override
    public void warmUp(LoadGenerator load, Effort effort, Server server)
        throws BenchException, InterruptedException {
      load.run(server, options("-n", effort.warmUpRequests()), "serial", read);
    }

    @Override
    public Measurement measure(LoadGenerator load, Effort effort, Server server)
        throws BenchException, InterruptedException {
      List<String> writes = options("-c", writers, "-s", UNTIL_CLOSED_SECONDS);
      server.delayCalls(delay);
      try (LoadGenerator.Run writing = load.start(server, writes, "many", write)) {
        TimeUnit.MILLISECONDS.sleep(HEAD_START_MILLIS);
        List<String> reads = options("-z", READS_PER_SECOND, "-s", effort.streamSeconds());
        Measurement measurement = load.run(server, reads, "paced", read);
        writing.assertRuns();
        return measurement;
      } finally {
        server.delayCalls(Duration.ZERO);
      }
    }
  }

  /** The first requests that a process gets. */
  record First(int requests, String request) implements Workload {
    @Override
    public void warmUp(LoadGenerator load, Effort effort, Server server) {
      // That is the point.
    }

    @Override
    public Measurement measure(LoadGenerator load, Effort effort, Server server)
        throws BenchException, InterruptedException {
      return load.run(server, options("-n", requests), "serial", request);
    }
  }

  /** Subscribers of power that stays the same, in a process that has done other work before. */
  record IdleSubscribers(int subscribers) implements Workload {
    @Override
    public void warmUp(LoadGenerator load, Effort effort, Server server)
        throws BenchException, InterruptedException {
      load.run(server, options("-n", effort.warmUpRequests()), "serial", Rows.GET_POWER);
    }

    @Override
    public Measurement measure(LoadGenerator load, Effort effort, Server server)
        throws BenchException, InterruptedException {
      List<String> options = options("-c", subscribers, "-s", effort.streamSeconds());
      return load.run(server, options, "stream", Streams.REQUEST);
    }

    /** What one of them takes of the daemon's resident memory. */
    double kibEach(Measurement measurement) {
      return (measurement.get("rss_after_kib") - measurement.get("rss_before_kib")) / subscribers;
    }
  }

  private static List<String> options(Object... words) {
    List<String> options = new ArrayList<>();
    for (Object word : words) {
      options.add(word.toString());
    }
    return options;
  }
}

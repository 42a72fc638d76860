package dev.zeusd.cli;

import dev.zeusd.client.ClientConfig;
import java.util.List;

/** Asks several daemons now and then, each by a thread of its own: a slow one holds up no other. */
final class Watches implements AutoCloseable {
  private final List<DaemonWatch> watches;

  private Watches(List<DaemonWatch> watches) {
    this.watches = watches;
  }

  static Watches start(List<ClientConfig> configs, int intervalSeconds) {
    List<DaemonWatch> all =
        configs.stream().map(config -> new DaemonWatch(config, intervalSeconds)).toList();
    all.forEach(DaemonWatch::start);
    return new Watches(all);
  }

  /** What is known now. */
  List<DaemonState> states() {
    return watches.stream().map(DaemonWatch::state).toList();
  }

  /** The same when each daemon has answered, or has not in time. */
  List<DaemonState> awaitFirst() throws InterruptedException {
    for (DaemonWatch watch : watches) {
      watch.awaitFirst();
    }
    return states();
  }

  @Override
  public void close() {
    watches.forEach(DaemonWatch::close);
  }
}

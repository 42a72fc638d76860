package dev.zeusd.core.settings;

import dev.zeusd.core.settings.Restored.Outcome;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Ends leases: their settings are put back side by side, and are free then. Thread-safe. */
final class LeaseEnds {
  private static final System.Logger LOG = System.getLogger(Leases.class.getName());

  private final SettingTable table;
  private final Restorer restorer;
  private final Runnable wake;
  private final LeaseObserver observer;

  LeaseEnds(LeaseParts parts, Restorer restorer) {
    table = parts.table();
    wake = parts.wake();
    observer = parts.observer();
    this.restorer = restorer;
  }

  /**
   * What is under way.
   *
   * @param known of what there is nothing to do about
   * @param running of what is being put back
   */
  record Ending(Map<Setting, Restored> known, Map<Setting, CompletableFuture<Restored>> running) {
    /** What became of each, as far as that is known after a while. */
    SortedMap<Setting, Restored> await(Duration patience) {
      long deadline = System.nanoTime() + patience.toNanos();
      SortedMap<Setting, Restored> results = new TreeMap<>(known);
      running.forEach((setting, result) -> results.put(setting, await(result, deadline)));
      return results;
    }

    private static Restored await(CompletableFuture<Restored> result, long deadline) {
      try {
        return result.get(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
      } catch (TimeoutException e) {
        return Restored.pending("it takes longer than this waits, and goes on");
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return Restored.pending("interrupted while waiting for the GPU");
      } catch (ExecutionException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  /**
   * Ends one.
   *
   * @throws LeaseException.Ended if it is over already
   */
  Ending begin(Lease lease, String why) {
    Map<Setting, Restored> known = new TreeMap<>();
    List<Setting> left = new ArrayList<>();
    Map<Setting, CompletableFuture<Restored>> running = new TreeMap<>();
    table.locked(
        () -> {
          List<Setting> changed = lease.settings().stream().filter(table::hasChange).toList();
          lease.finish();
          for (Setting setting : lease.settings()) {
            if (table.hasChange(setting)) {
              left.add(setting);
            } else {
              Outcome outcome = changed.contains(setting) ? Outcome.KEPT : Outcome.UNCHANGED;
              known.put(setting, Restored.as(outcome));
            }
          }
          // Whoever waits for them is to find them as they were.
          running.putAll(restorer.claim(left));
        });
    LOG.log(System.Logger.Level.INFO, "{0}: {1}", lease, why);
    observer.ended(lease, why);
    restorer.start(running);
    left.removeAll(running.keySet());
    // For an earlier lease, they are being put back still; whoever watches the time goes on with
    // it.
    left.forEach(
        each -> known.put(each, Restored.pending("a call for an earlier lease has not ended")));
    wake.run();
    return new Ending(known, running);
  }

  /** Ends those that have not ended by themselves meanwhile. */
  List<Ending> beginAll(List<Lease> leases, String why) {
    List<Ending> endings = new ArrayList<>();
    for (Lease lease : leases) {
      try {
        endings.add(begin(lease, why));
      } catch (LeaseException.Ended e) {
        // By its holder, just now.
      }
    }
    return endings;
  }
}

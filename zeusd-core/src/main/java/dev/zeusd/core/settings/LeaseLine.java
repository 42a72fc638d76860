package dev.zeusd.core.settings;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.locks.Condition;

/**
 * Those who wait for settings, first come first served. Guarded by the lock of {@link
 * SettingTable}. There may be thousands, of one user, and others are not to notice: so only those
 * are woken who have something to find out.
 */
final class LeaseLine {
  /** How long somebody who does not wait for others waits for what takes but a moment. */
  private static final Duration SHORT_PATIENCE = Duration.ofSeconds(2);

  private final SettingTable table;
  private final List<Waiting> line = new ArrayList<>();

  LeaseLine(SettingTable table) {
    this.table = table;
  }

  /** Somebody, and not somebody else who wants the same: so it is no record. */
  private static final class Waiting {
    final Set<Setting> wanted;
    final Condition news;

    /** Waits for what takes but a moment, and no longer if it turns out to take more. */
    boolean isShort;

    Waiting(Collection<Setting> wanted, Condition news) {
      this.wanted = new LinkedHashSet<>(wanted);
      this.news = news;
    }
  }

  /**
   * Returns when it is the caller's turn to have these settings.
   *
   * @throws LeaseException.Held if another lease holds one of them, and goes on to for {@code wait}
   * @throws LeaseException.Stopping if the calling thread is interrupted
   */
  void awaitFree(Collection<Setting> wanted, Duration wait) {
    Waiting me = new Waiting(wanted, table.newCondition());
    line.add(me);
    long start = System.nanoTime();
    try {
      Optional<Obstacle> obstacle;
      while ((obstacle = obstacle(me)).isPresent()) {
        Optional<Lease> holder = obstacle.get().holder();
        me.isShort = holder.isEmpty() && wait.compareTo(SHORT_PATIENCE) < 0;
        Duration patience = me.isShort ? SHORT_PATIENCE : wait;
        long restNanos = patience.toNanos() - (System.nanoTime() - start);
        if (restNanos > 0) {
          me.news.awaitNanos(restNanos);
        } else if (holder.isEmpty()) {
          // A driver that hangs: whoever comes next has to live with that, and may.
          return;
        } else {
          throw holder.get().held(obstacle.get().setting());
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new LeaseException.Stopping("interrupted while waiting for other leases to end");
    } finally {
      line.remove(me);
      look();
    }
  }

  /** How many wait. */
  int length() {
    return line.size();
  }

  /** Something may have become free, or somebody has left: wakes those whom that concerns. */
  void look() {
    Set<Setting> wantedEarlier = new HashSet<>();
    for (Waiting each : line) {
      boolean isNext =
          Collections.disjoint(each.wanted, wantedEarlier) && firstTaken(each.wanted).isEmpty();
      if (isNext || each.isShort) {
        each.news.signal();
      }
      wantedEarlier.addAll(each.wanted);
    }
  }

  /**
   * Why somebody cannot have what they want.
   *
   * @param holder who has it; empty while it is being put back, or is about to be taken by somebody
   *     who came earlier, which takes but a moment
   */
  private record Obstacle(Setting setting, Optional<Lease> holder) {}

  /** What is not free, or wanted by somebody who came earlier, whatever they wait for. */
  private Optional<Obstacle> obstacle(Waiting me) {
    for (Waiting earlier : line) {
      if (earlier == me) {
        return firstTaken(me.wanted);
      }
      if (!Collections.disjoint(earlier.wanted, me.wanted)) {
        Setting common = earlier.wanted.stream().filter(me.wanted::contains).findFirst().get();
        return firstTaken(earlier.wanted)
            .or(() -> Optional.of(new Obstacle(common, Optional.empty())));
      }
    }
    throw new IllegalStateException("not in the line");
  }

  private Optional<Obstacle> firstTaken(Collection<Setting> wanted) {
    for (Setting setting : wanted) {
      Optional<SettingState> taken = table.known(setting).filter(state -> !state.isFree());
      if (taken.isPresent()) {
        return Optional.of(new Obstacle(setting, taken.get().holder));
      }
    }
    return Optional.empty();
  }
}

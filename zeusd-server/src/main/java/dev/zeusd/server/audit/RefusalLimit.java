package dev.zeusd.server.audit;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * How many refusals of a peer are worth a line each: nobody fills the disk by being refused. For
 * one thread at a time.
 */
final class RefusalLimit {
  private static final int BURST = 100;
  private static final int PER_SECOND = 10;
  private static final int MAX_PEERS = 1000;
  private static final String OTHERS = "others";
  private static final double NANOS_A_SECOND = TimeUnit.SECONDS.toNanos(1);

  private final Map<String, Account> byPeer = new LinkedHashMap<>();
  private boolean hasUntold;

  private static final class Account {
    double left = BURST;
    long sinceNanos;
    long untold;

    Account(long nowNanos) {
      sinceNanos = nowNanos;
    }

    void refill(long nowNanos) {
      left = Math.min(BURST, left + (nowNanos - sinceNanos) / NANOS_A_SECOND * PER_SECOND);
      sinceNanos = nowNanos;
    }
  }

  /** Whether another one of this peer is to be told; else it is counted. */
  boolean take(String peer, long nowNanos) {
    Account account = account(peer, nowNanos);
    account.refill(nowNanos);
    if (account.left < 1) {
      account.untold++;
      hasUntold = true;
      return false;
    }
    account.left--;
    return true;
  }

  private Account account(String peer, long nowNanos) {
    if (!byPeer.containsKey(peer) && byPeer.size() >= MAX_PEERS) {
      byPeer.values().forEach(each -> each.refill(nowNanos));
      byPeer.values().removeIf(each -> each.untold == 0 && each.left >= BURST);
    }
    String key = byPeer.containsKey(peer) || byPeer.size() < MAX_PEERS ? peer : OTHERS;
    return byPeer.computeIfAbsent(key, each -> new Account(nowNanos));
  }

  /** Whether some were counted that {@link #untold} has not told. */
  boolean hasUntold() {
    return hasUntold;
  }

  /** How many have not been told since this was last asked, by peer. */
  Map<String, Long> untold() {
    Map<String, Long> counts = new LinkedHashMap<>();
    byPeer.forEach(
        (peer, account) -> {
          if (account.untold > 0) {
            counts.put(peer, account.untold);
            account.untold = 0;
          }
        });
    hasUntold = false;
    return counts;
  }
}

package dev.zeusd.cli;

import dev.zeusd.testkit.nvml.FakeNvml;
import java.io.IOException;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Many well-behaved clients in one thread: subscribers of power, to whom every value that the fake
 * GPUs take has to arrive, and connections that ask one thing after the other.
 *
 * <p>The next value is set when all have the last one; so a value that is lost is waited for in
 * vain, however slow the machine is.
 */
final class Crowd implements AutoCloseable {
  private static final long PATIENCE_NANOS = Duration.ofSeconds(30).toNanos();
  private static final long CHANGE_INTERVAL_NANOS = Duration.ofMillis(200).toNanos();
  private static final long COUNT_INTERVAL_NANOS = Duration.ofMillis(50).toNanos();
  private static final long SELECT_MILLIS = 10;
  private static final long MAX_ROUND_NANOS = Duration.ofMillis(20).toNanos();
  private static final Duration LIMIT = Duration.ofMinutes(10);
  private static final long RECONNECT_NANOS = Duration.ofMillis(100).toNanos();
  private static final int CONNECTS_A_ROUND = 20;
  private static final int GPUS = 4;
  private static final long FIRST_POWER_MW = 100_000;

  private final SocketAddress address;
  private final FakeNvml nvml;
  private final boolean endsAreExpected;
  private final List<CrowdMember> members = new ArrayList<>();
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(65536);
  private final Thread thread = Thread.ofPlatform().name("crowd").unstarted(this::run);

  private long powerMw = FIRST_POWER_MW;
  private long changedNanos;
  private long countedNanos;

  /**
   * The time here: a round counts no more than it should take. So patience lasts longer where the
   * machine has no time for the crowd, and then hardly for the daemon either.
   */
  private long nowNanos;

  private volatile boolean stopped;
  private volatile String failure = "";
  private volatile Figures figures = new Figures(0, 0, 0, 0, 0);

  /**
   * What has happened so far.
   *
   * @param subscribers with an open stream now
   * @param values that arrived at subscribers, each counted as often as it did
   * @param changes of the power
   * @param answers to requests
   * @param reconnects after a connection ended
   */
  record Figures(int subscribers, long values, long changes, long answers, long reconnects) {}

  /** Starts them all; they connect one after the other. */
  Crowd(SocketAddress address, FakeNvml nvml, int subscribers, int requesters) {
    this(address, nvml, subscribers, requesters, false);
  }

  /** The same for a daemon that ends now and then, and {@code endsAreExpected} of connections. */
  Crowd(
      SocketAddress address,
      FakeNvml nvml,
      int subscribers,
      int requesters,
      boolean endsAreExpected) {
    this.address = address;
    this.nvml = nvml;
    this.endsAreExpected = endsAreExpected;
    for (int i = 0; i < subscribers; i++) {
      members.add(CrowdMember.subscriber(i));
    }
    for (int i = 0; i < requesters; i++) {
      members.add(CrowdMember.requester(i));
    }
    setPower();
    thread.start();
  }

  /**
   * The figures so far.
   *
   * @throws AssertionError if anything was lost, late, cut off or malformed
   */
  Figures figures() {
    if (!failure.isEmpty()) {
      throw new AssertionError(failure);
    }
    return figures;
  }

  /** Until {@code subscribers} of them have an open stream, and this many values more. */
  void awaitValues(int subscribers, long more) throws InterruptedException {
    long atFirst = figures().changes;
    long end = System.nanoTime() + LIMIT.toNanos();
    while (figures().subscribers < subscribers || figures().changes < atFirst + more) {
      if (System.nanoTime() > end) {
        throw new AssertionError("too few for too long: " + figures);
      }
      Thread.sleep(10);
    }
  }

  private void run() {
    try (Selector selector = Selector.open()) {
      while (!stopped && failure.isEmpty()) {
        long begin = System.nanoTime();
        selector.select(SELECT_MILLIS);
        for (SelectionKey key : selector.selectedKeys()) {
          read((CrowdMember) key.attachment());
        }
        selector.selectedKeys().clear();
        connectAndAsk(selector);
        if (nowNanos - countedNanos > COUNT_INTERVAL_NANOS) {
          count();
        }
        nowNanos += Math.min(System.nanoTime() - begin, MAX_ROUND_NANOS);
      }
    } catch (IOException | RuntimeException | AssertionError e) {
      fail(e.toString());
    } finally {
      members.forEach(CrowdMember::close);
    }
  }

  private void read(CrowdMember member) {
    try {
      if (!member.read(buffer, powerMw, nowNanos)) {
        ended(member, "the daemon closed it");
      }
    } catch (IOException e) {
      ended(member, e.toString());
    }
  }

  private void ended(CrowdMember member, String how) {
    if (!endsAreExpected && !member.isIdle()) {
      fail("a connection ended, " + member + ": " + how);
    }
    member.close();
    member.waitUntil(nowNanos + RECONNECT_NANOS);
  }

  private void connectAndAsk(Selector selector) {
    int connects = 0;
    for (CrowdMember member : members) {
      if (member.isConnected()) {
        if (member.isLate(nowNanos - PATIENCE_NANOS)) {
          fail("no answer for too long, " + member);
        }
      } else if (connects++ >= CONNECTS_A_ROUND) {
        continue;
      }
      try {
        member.connectAndAsk(address, selector, nowNanos);
      } catch (IOException e) {
        ended(member, e.toString());
      }
    }
  }

  /** Counts, and changes the power when all have seen it. */
  private void count() {
    int subscribers = 0;
    int owed = 0;
    long values = 0;
    long answers = 0;
    long reconnects = 0;
    for (CrowdMember member : members) {
      subscribers += member.isStreaming() ? 1 : 0;
      owed += member.isSubscribed() && !member.hasSeen(powerMw) ? 1 : 0;
      values += member.values();
      answers += member.answers();
      reconnects += member.reconnects();
    }
    long changes = powerMw - FIRST_POWER_MW;
    figures = new Figures(subscribers, values, changes, answers, reconnects);
    countedNanos = nowNanos;
    if (endsAreExpected) {
      // Who reconnects may take a while.
      changedNanos = Math.max(changedNanos, nowNanos - PATIENCE_NANOS / 2);
    }
    if (owed == 0 && subscribers > 0 && nowNanos - changedNanos > CHANGE_INTERVAL_NANOS) {
      powerMw++;
      setPower();
      changedNanos = nowNanos;
    } else if (owed > 0 && nowNanos - changedNanos > PATIENCE_NANOS) {
      fail(owed + " subscribers never got " + powerMw);
    }
  }

  private void setPower() {
    for (int gpu = 0; gpu < GPUS; gpu++) {
      nvml.gpu(gpu).powerMw(powerMw);
    }
  }

  private void fail(String what) {
    if (failure.isEmpty()) {
      failure = what;
    }
  }

  @Override
  public void close() {
    stopped = true;
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}

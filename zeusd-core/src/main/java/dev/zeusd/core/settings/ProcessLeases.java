package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.ffm.posix.ProcessEnds;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Leases of processes that know nothing of leases: one is taken when a process first changes a
 * setting, and lasts until the process ends. Thread-safe. One thread, which there is while there
 * are such processes, waits for all of them.
 */
final class ProcessLeases {
  private static final System.Logger LOG = System.getLogger(Leases.class.getName());

  /** How long a lease lasts when zeusd has died and cannot find the process any more. */
  private static final Duration TTL = Duration.ofSeconds(10);

  /** How often to see whether the thread is still needed. */
  private static final Duration LOOK = Duration.ofSeconds(10);

  private final Leases leases;
  private final LeaseEnds ends;
  private final SettingTable table;

  // Guarded by this.
  private final Map<ClientProcess.Id, WatchedProcess> clients = new HashMap<>();
  private final Map<Long, WatchedProcess> clientsByKey = new HashMap<>();
  private long lastKey;
  private boolean closed;

  /** There is one while there are clients, and the thread that waits for them. */
  private Optional<ProcessEnds> waiting = Optional.empty();

  ProcessLeases(Leases leases, LeaseEnds ends) {
    this.leases = leases;
    this.ends = ends;
    table = leases.parts().table();
  }

  /**
   * As {@link Leases#ofProcess}.
   *
   * @param nameless GPUs whose settings cannot be lent, by id
   */
  SettingAccess access(
      ClientProcess process,
      String holder,
      List<Setting> wanted,
      Map<Integer, DeviceException> nameless) {
    WatchedProcess client = enter(process);
    try {
      LeaseRequest request =
          new LeaseRequest(
              holder,
              TTL,
              Duration.ZERO,
              LeaseRequest.OnEnd.RESTORE,
              Optional.of(client.process.id()));
      WatchedProcess.Access access = client.access(wanted, request);
      access.failures().putAll(nameless);
      return access;
    } finally {
      leave(client);
    }
  }

  private synchronized WatchedProcess enter(ClientProcess process) {
    WatchedProcess known = clients.get(process.id());
    if (known != null) {
      process.close();
    }
    WatchedProcess client = known == null ? watch(process) : known;
    client.users++;
    return client;
  }

  private synchronized void leave(WatchedProcess client) {
    client.users--;
    forgetIdle();
  }

  /** Those who have nothing, or not any more, such as when somebody else has ended their leases. */
  private void forgetIdle() {
    clients
        .values()
        .removeIf(
            client -> {
              boolean isIdle = client.isIdle();
              if (isIdle) {
                clientsByKey.remove(client.key);
                client.process.close();
              }
              return isIdle;
            });
  }

  /** If it is of a process, it goes on if that does. */
  synchronized void goOnAfterRestart(Lease lease) {
    // One without a number cannot be found, but is known again when it comes back.
    Optional<ClientProcess.Id> process = lease.process().filter(each -> each.pid() > 0);
    process.ifPresent(id -> goOnAfterRestart(lease, id));
  }

  private void goOnAfterRestart(Lease lease, ClientProcess.Id id) {
    try {
      Optional<ClientProcess> found = ClientProcess.find(id.pid());
      if (found.isPresent() && found.get().id().equals(id)) {
        enter(found.get()).users--;
        lease.keep();
      } else {
        found.ifPresent(ClientProcess::close);
        table.locked(() -> lease.term().expire(leases.parts().now()));
      }
    } catch (IOException e) {
      LOG.log(System.Logger.Level.WARNING, "{0} cannot be watched: {1}", id, e.getMessage());
    }
  }

  // ---- Waiting for their ends ----

  private WatchedProcess watch(ClientProcess process) {
    if (closed) {
      process.close();
      throw new LeaseException.Stopping("zeusd is stopping");
    }
    if (waiting.isEmpty()) {
      ProcessEnds own = new ProcessEnds();
      waiting = Optional.of(own);
      // It sleeps in the kernel until a process ends.
      Thread.ofPlatform().daemon().name("client processes").start(() -> await(own));
    }
    lastKey++;
    WatchedProcess client = new WatchedProcess(leases, ends, process, lastKey);
    waiting.get().add(process.handle(), lastKey);
    clients.put(process.id(), client);
    clientsByKey.put(lastKey, client);
    return client;
  }

  private void await(ProcessEnds own) {
    try (own) {
      do {
        OptionalLong key = own.await(LOOK);
        if (key.isPresent()) {
          ended(key.getAsLong());
        }
      } while (!endIfIdle());
    }
  }

  private void ended(long key) {
    Optional<WatchedProcess> client;
    synchronized (this) {
      client = closed ? Optional.empty() : Optional.ofNullable(clientsByKey.get(key));
    }
    if (client.isPresent()) {
      client.get().end();
      synchronized (this) {
        forgetIdle();
      }
    }
  }

  private synchronized boolean endIfIdle() {
    forgetIdle();
    if (closed || clients.isEmpty()) {
      waiting = Optional.empty();
    }
    return waiting.isEmpty();
  }

  /** Nobody waits for processes any more; their leases go on. Idempotent. */
  synchronized void close() {
    closed = true;
    clients.values().forEach(client -> client.process.close());
    clients.clear();
    clientsByKey.clear();
    waiting.ifPresent(ProcessEnds::wakeUp);
  }
}

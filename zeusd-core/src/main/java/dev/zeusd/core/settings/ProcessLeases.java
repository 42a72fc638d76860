package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.ffm.posix.ProcessEnds;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

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

  private static final Set<SettingKey> ALL_KEYS = Set.of(SettingKey.values());

  private final Leases leases;
  private final LeaseEnds ends;
  private final SettingTable table;

  // Guarded by this.
  private final Map<ClientProcess.Id, Client> clients = new HashMap<>();
  private final Map<Long, Client> clientsByKey = new HashMap<>();
  private long lastKey;
  private boolean closed;

  /** There is one while there are clients, and the thread that waits for them. */
  private Optional<ProcessEnds> waiting = Optional.empty();

  ProcessLeases(Leases leases, LeaseEnds ends) {
    this.leases = leases;
    this.ends = ends;
    table = leases.parts().table();
  }

  /** A process that is watched. */
  private final class Client {
    final ClientProcess process;
    final long key;

    /** One request of a process at a time takes leases: others would find what they need held. */
    final ReentrantLock taking = new ReentrantLock();

    /** How many writes of each are still to come. Guarded by the table's lock. */
    final Map<Setting, Integer> expected = new HashMap<>();

    /** How many requests are at it. Guarded by the outer class. */
    int users;

    volatile boolean ended;

    Client(ClientProcess process, long key) {
      this.process = process;
      this.key = key;
    }

    Access access(List<Setting> wanted, LeaseRequest request) {
      Map<Integer, DeviceException> failures = new TreeMap<>();
      Map<Setting, Lease> held;
      taking.lock();
      try {
        held = held(wanted);
        List<Setting> missing = new ArrayList<>(wanted);
        missing.removeAll(held.keySet());
        while (!missing.isEmpty()) {
          try {
            Lease lease = leases.take(missing, request);
            lease.keep();
            missing.forEach(setting -> held.put(setting, lease));
            table.locked(() -> expect(Set.copyOf(missing)));
            break;
          } catch (LeaseException.Unreadable e) {
            // The other GPUs' work is done even so.
            Set<Integer> failing = e.failures().keySet();
            if (!missing.removeAll(leases.knownSettings(failing, ALL_KEYS))) {
              throw e;
            }
            failures.putAll(e.failures());
          }
        }
      } finally {
        taking.unlock();
        endIfOver();
      }
      return new Access(this, held, failures);
    }

    /**
     * No other request lets go of these before this one has written them; under the table's lock.
     */
    private void expect(Set<Setting> wanted) {
      wanted.forEach(setting -> expected.merge(setting, 1, Integer::sum));
    }

    /** What was not set after all, and no other request is about to set, is anybody's again. */
    void written(Lease lease, Setting setting) {
      boolean isOver =
          table.locked(
              () -> {
                expected.computeIfPresent(setting, (key, count) -> count > 1 ? count - 1 : null);
                if (!lease.isActive()
                    || expected.containsKey(setting)
                    || table.isChangedBy(lease, setting)) {
                  return false;
                }
                lease.letGoOf(setting);
                return !lease.isActive();
              });
      if (isOver) {
        LOG.log(System.Logger.Level.INFO, "{0}: ended, since nothing was set", lease);
        leases.wake();
      }
    }

    /** Of these settings, those that the process has; also by a lease of before a restart. */
    private Map<Setting, Lease> held(List<Setting> wanted) {
      return table.locked(
          () -> {
            Map<Setting, Lease> held = new HashMap<>();
            for (Setting setting : wanted) {
              Optional<Lease> own =
                  table
                      .known(setting)
                      .flatMap(state -> state.holder)
                      .filter(lease -> lease.isActive() && isOwn(lease));
              own.ifPresent(lease -> held.put(setting, lease));
            }
            held.values().stream()
                .filter(lease -> !lease.term().isKept())
                .forEach(lease -> lease.term().keep(leases.parts().now()));
            expect(held.keySet());
            return held;
          });
    }

    boolean isOwn(Lease lease) {
      return lease.process().equals(Optional.of(process.id()));
    }

    /** Also after the process has ended while a lease was being taken. */
    void endIfOver() {
      if (ended && taking.tryLock()) {
        try {
          ends.beginAll(own(), "ended with " + process.id());
        } finally {
          taking.unlock();
        }
      }
    }

    private List<Lease> own() {
      return table.locked(() -> table.activeLeases(this::isOwn));
    }

    boolean isIdle() {
      return users == 0 && own().isEmpty();
    }
  }

  /**
   * What a request of a process may change.
   *
   * @param client the process
   * @param held by which leases
   * @param failures GPUs whose settings cannot be lent, by id
   */
  record Access(Client client, Map<Setting, Lease> held, Map<Integer, DeviceException> failures)
      implements SettingAccess {
    @Override
    public void check(List<Setting> wanted) {
      // They are held, or their GPUs fail one by one.
    }

    @Override
    public void write(Gpu gpu, SettingValue value) {
      DeviceException failure = failures.get(gpu.info().id());
      if (failure != null) {
        throw failure;
      }
      Setting setting = new Setting(gpu.info().uuid().orElse(""), value.key());
      Lease lease = held.get(setting);
      try {
        lease.write(gpu, value);
      } finally {
        client.written(lease, setting);
      }
    }
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
    Client client = enter(process);
    try {
      LeaseRequest request =
          new LeaseRequest(
              holder,
              TTL,
              Duration.ZERO,
              LeaseRequest.OnEnd.RESTORE,
              Optional.of(client.process.id()));
      Access access = client.access(wanted, request);
      access.failures.putAll(nameless);
      return access;
    } finally {
      leave(client);
    }
  }

  private synchronized Client enter(ClientProcess process) {
    Client known = clients.get(process.id());
    if (known != null) {
      process.close();
    }
    Client client = known == null ? watch(process) : known;
    client.users++;
    return client;
  }

  private synchronized void leave(Client client) {
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

  private Client watch(ClientProcess process) {
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
    Client client = new Client(process, lastKey);
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
    Optional<Client> client;
    synchronized (this) {
      client = closed ? Optional.empty() : Optional.ofNullable(clientsByKey.get(key));
    }
    if (client.isPresent()) {
      client.get().ended = true;
      client.get().endIfOver();
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

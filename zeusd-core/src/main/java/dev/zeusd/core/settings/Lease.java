package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.core.worker.DeviceWorker;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.concurrent.CompletableFuture;

/**
 * The right to set some settings, alone, and the promise that they come back: when it ends, however
 * it does, each goes back to what it was before this lease first changed it.
 *
 * <p>Thread-safe.
 */
public final class Lease implements SettingAccess, AutoCloseable {
  private final Leases leases;
  private final SettingTable table;
  private final String id;
  private final long epoch;
  private final LeaseRequest request;

  private final LeasedSettings settings;

  /** Guarded by the table's lock. */
  private final LeaseTerm term;

  /** One that nobody has yet. */
  Lease(Leases leases, String id, long epoch, LeaseRequest request, List<Setting> settings) {
    this.leases = leases;
    this.table = leases.parts().table();
    this.id = id;
    this.epoch = epoch;
    this.request = request;
    this.term = new LeaseTerm(request.ttl());
    this.settings = new LeasedSettings(table, settings);
  }

  /** {@return its id, which nobody else can guess} */
  public String id() {
    return id;
  }

  /**
   * {@return its number, higher than those of all leases before, those of earlier processes
   * included}
   */
  public long epoch() {
    return epoch;
  }

  /** {@return who has it, in words} */
  public String holder() {
    return request.holder();
  }

  /** {@return the process whose end is its own, if there is one} */
  public Optional<ClientProcess.Id> process() {
    return request.process();
  }

  /** {@return how long it lasts after it was taken, renewed, or left by the last of its keepers} */
  public Duration ttl() {
    return request.ttl();
  }

  /** {@return what becomes of the settings} */
  public LeaseRequest.OnEnd onEnd() {
    return request.onEnd();
  }

  /** {@return what it holds, by GPU and in the order in which it is put back} */
  public List<Setting> settings() {
    return settings.all();
  }

  // ---- How long it lasts ----

  /**
   * Lets it last for another {@link #ttl} from now.
   *
   * @throws LeaseException.Ended if it is over
   */
  public void renew() {
    table.locked(
        () -> {
          requireActive();
          term.extend(now());
        });
    leases.wake();
  }

  /**
   * Keeps it from expiring until what is returned is closed; the {@link #ttl} begins then.
   *
   * @return what lets it expire again
   * @throws LeaseException.Ended if it is over
   */
  public Keeper keep() {
    table.locked(
        () -> {
          requireActive();
          term.keep(now());
        });
    return this::leave;
  }

  private void leave() {
    table.locked(() -> term.leave(now()));
    leases.wake();
  }

  private long now() {
    return leases.parts().now();
  }

  /** Somebody who keeps a lease; to be closed once. */
  @FunctionalInterface
  public interface Keeper extends AutoCloseable {
    @Override
    void close();
  }

  /** {@return whether it is over} */
  public boolean isEnded() {
    return table.locked(term::isOver);
  }

  /**
   * Ends it and puts the settings back, side by side for all GPUs; waits for them, but not for a
   * driver that hangs.
   *
   * @return what became of each
   * @throws LeaseException.Ended if it is over already
   */
  public SortedMap<Setting, Restored> end() {
    return leases.end(this);
  }

  /** As {@link #end}, unless it is over. */
  @Override
  public void close() {
    try {
      end();
    } catch (LeaseException.Ended e) {
      // By time, or by somebody else.
    }
  }

  // ---- What it is for ----

  /**
   * {@return what each setting goes back to}
   *
   * @throws LeaseException.Ended if it is over
   */
  public SortedMap<Setting, SettingValue> saved() {
    return table.locked(
        () -> {
          requireActive();
          return settings.found();
        });
  }

  @Override
  public void check(List<Setting> wanted) {
    table.locked(
        () -> {
          requireActive();
          wanted.forEach(this::requireCovered);
        });
  }

  private void requireCovered(Setting setting) {
    if (!settings.all().contains(setting)) {
      Optional<Lease> other = table.known(setting).flatMap(state -> state.holder);
      if (other.isPresent()) {
        throw other.get().held(setting);
      }
      throw new LeaseException.NotCovered(
          "%s does not hold %s".formatted(this, leases.parts().describe(List.of(setting))));
    }
  }

  /** That it holds a setting that somebody else wants. */
  LeaseException.Held held(Setting setting) {
    return new LeaseException.Held(
        "%s is held by %s, %s"
            .formatted(
                leases.parts().describe(List.of(setting)),
                this,
                term.untilWhen(process().isPresent(), now())),
        holder(),
        expiresInMs());
  }

  private void requireActive() {
    if (!term.isActive()) {
      throw new LeaseException.Ended(this + " has ended");
    }
  }

  /**
   * Sets the power limit of all its GPUs, in mW; waits for them.
   *
   * @param powerLimitMw the limit, in mW
   */
  public void setPowerLimit(long powerLimitMw) {
    set(new SettingValue.PowerLimit(powerLimitMw));
  }

  /**
   * Sets one of its settings on all its GPUs, side by side; waits for them.
   *
   * @param value what to set, of a key that the lease holds
   * @throws LeaseException if it does not hold it
   * @throws DeviceException the first GPU's that fails
   */
  public void set(SettingValue value) {
    List<CompletableFuture<Boolean>> running = new ArrayList<>();
    check(settings().stream().map(each -> new Setting(each.gpuUuid(), value.key())).toList());
    for (DeviceWorker<Gpu> gpu : leases.parts().gpus()) {
      Optional<String> uuid = gpu.device().info().uuid();
      if (uuid.isPresent() && settings().contains(new Setting(uuid.get(), value.key()))) {
        running.add(
            gpu.submit(
                device -> {
                  write(device, value);
                  return true;
                }));
      }
    }
    running.forEach(Answer::await);
  }

  @Override
  public void write(Gpu gpu, SettingValue value) {
    leases.writer().write(this, gpu, value);
  }

  // ---- Under the table's lock ----

  LeaseTerm term() {
    return term;
  }

  /**
   * What is known of a setting that it holds.
   *
   * @throws LeaseException if it does not, or is over
   */
  SettingState stateOf(Setting setting) {
    requireActive();
    requireCovered(setting);
    return table.states.get(setting);
  }

  /** Its holder has it now. */
  void start() {
    term.begin(now());
  }

  /** Goes on after the process that it was taken from has died. */
  void goOn() {
    term.goOn(now());
    table.leases.put(id, this);
  }

  /** Does without one of its settings from now on, and ends with the last of them. */
  void letGoOf(Setting setting) {
    settings.letGoOf(setting, this);
    if (settings().isEmpty() && isActive()) {
      release();
    }
  }

  /** Lets go of the settings; what it has changed is not put back by that. */
  void release() {
    term.end();
    table.leases.remove(id);
    settings.letGo();
  }

  /** Ends it, for the caller to put back what is left to be. */
  void finish() {
    requireActive();
    if (onEnd() == LeaseRequest.OnEnd.KEEP) {
      settings.settle(this);
    }
    release();
  }

  boolean isActive() {
    return term.isActive();
  }

  long expiresInMs() {
    return term.expiresInMs(now());
  }

  @Override
  public String toString() {
    // The id is the right to use it, and this is for the log and for others.
    return "lease "
        + epoch
        + " of "
        + holder()
        + process().map(each -> " (" + each + ")").orElse("");
  }
}

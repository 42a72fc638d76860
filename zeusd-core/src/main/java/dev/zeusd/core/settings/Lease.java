package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.sampling.DeviceWorker;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;

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
  private final List<Setting> settings;

  // Guarded by the table's lock.
  private Phase phase = Phase.TAKEN;
  private long expiresNanos;
  private int keepers;
  private boolean orphaned;

  private enum Phase {
    /** Nobody else can have the settings; what they are is being found out. */
    TAKEN,
    ACTIVE,
    ENDED
  }

  /** One that nobody has yet. */
  Lease(Leases leases, String id, long epoch, LeaseRequest request, List<Setting> settings) {
    this.leases = leases;
    this.table = leases.table();
    this.id = id;
    this.epoch = epoch;
    this.request = request;
    this.settings = settings.stream().sorted(Comparator.naturalOrder()).toList();
  }

  /** What nobody else can guess. */
  public String id() {
    return id;
  }

  /** Higher than those of all leases before, those of earlier processes included. */
  public long epoch() {
    return epoch;
  }

  /** Who has it, in words. */
  public String holder() {
    return request.holder();
  }

  /** How long it lasts after it was taken, renewed, or left by the last of its keepers. */
  public Duration ttl() {
    return request.ttl();
  }

  /** What becomes of the settings. */
  public LeaseRequest.OnEnd onEnd() {
    return request.onEnd();
  }

  /** What it holds, by GPU and in the order in which it is put back. */
  public List<Setting> settings() {
    return settings;
  }

  // ---- How long it lasts ----

  /**
   * Lets it last for another {@link #ttl} from now.
   *
   * @throws LeaseException.Ended if it is over
   */
  public void renew() {
    table.locked(this::extend);
    leases.wake();
  }

  /** Its holder has been heard of. */
  private void extend() {
    requireActive();
    orphaned = false;
    startTtl();
  }

  private void startTtl() {
    expiresNanos = leases.now() + ttl().toNanos();
  }

  /**
   * Keeps it from expiring until what is returned is closed; the {@link #ttl} begins then.
   *
   * @throws LeaseException.Ended if it is over
   */
  public Keeper keep() {
    table.locked(
        () -> {
          extend();
          keepers++;
        });
    return this::leave;
  }

  private void leave() {
    table.locked(
        () -> {
          keepers--;
          startTtl();
        });
    leases.wake();
  }

  /** Somebody who keeps a lease; to be closed once. */
  @FunctionalInterface
  public interface Keeper extends AutoCloseable {
    @Override
    void close();
  }

  /** Whether it is over. */
  public boolean isEnded() {
    return table.locked(() -> phase == Phase.ENDED);
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
   * What each setting goes back to.
   *
   * @throws LeaseException.Ended if it is over
   */
  public SortedMap<Setting, SettingValue> saved() {
    SortedMap<Setting, SettingValue> values = new TreeMap<>();
    table.locked(
        () -> {
          requireActive();
          settings.forEach(each -> values.put(each, table.states.get(each).found.orElseThrow()));
        });
    return values;
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
    if (!settings.contains(setting)) {
      Optional<Lease> other = table.known(setting).flatMap(state -> state.holder);
      if (other.isPresent()) {
        throw other.get().held(setting);
      }
      throw new LeaseException.NotCovered(
          "%s does not hold %s: take one that does, with POST /lease"
              .formatted(this, leases.describe(List.of(setting))));
    }
  }

  /** That it holds a setting that somebody else wants. */
  LeaseException.Held held(Setting setting) {
    long expiresInMs = expiresInMs();
    return new LeaseException.Held(
        "%s is held by %s, for %d s %s"
            .formatted(
                leases.describe(List.of(setting)),
                this,
                Math.ceilDiv(expiresInMs, 1000),
                keepers > 0 ? "after its holder lets go" : "unless it is renewed"),
        holder(),
        expiresInMs);
  }

  private void requireActive() {
    if (phase != Phase.ACTIVE) {
      throw new LeaseException.Ended(this + " has ended; take another one with POST /lease");
    }
  }

  /** Sets the power limit of all its GPUs, in mW; waits for them. */
  public void setPowerLimit(long powerLimitMw) {
    set(new SettingValue.PowerLimit(powerLimitMw));
  }

  /**
   * Sets one of its settings on all its GPUs, side by side; waits for them.
   *
   * @throws LeaseException if it does not hold it
   * @throws DeviceException the first GPU's that fails
   */
  public void set(SettingValue value) {
    List<CompletableFuture<Boolean>> running = new ArrayList<>();
    check(settings.stream().map(each -> new Setting(each.gpuUuid(), value.key())).toList());
    for (DeviceWorker<Gpu> gpu : leases.gpus()) {
      Optional<String> uuid = gpu.device().info().uuid();
      if (uuid.isPresent() && settings.contains(new Setting(uuid.get(), value.key()))) {
        running.add(
            gpu.submit(
                device -> {
                  write(device, value);
                  return true;
                }));
      }
    }
    running.forEach(DeviceWorker::await);
  }

  @Override
  public void write(Gpu gpu, SettingValue value) {
    Setting setting = new Setting(gpu.info().uuid().orElse(""), value.key());
    Optional<Change> earlier;
    try {
      lookAgainBeforeFirstWrite(gpu, setting);
      earlier = table.locked(() -> stateOf(setting).change);
      leases.saved().append(table.locked(() -> ask(setting, value, gpu.driverGeneration())));
    } catch (LeaseException.Ended e) {
      throw new DeviceException.LeaseEnded(e.getMessage());
    } catch (LeaseException e) {
      throw new DeviceException.InvalidArgument(e.getMessage(), e);
    } catch (IOException e) {
      throw notSaved(e);
    }
    try {
      value.writeTo(gpu);
    } catch (DeviceException e) {
      // Whoever has changed it before is still the one to put it back.
      Optional<Lease> by = earlier.isPresent() ? earlier.get().by() : Optional.of(this);
      table.locked(() -> told(setting, change -> change.with(change.written().failed(), by)));
      leases
          .saved()
          .tryAppend(table.locked(() -> leases.saved().nextLine(setting, this, Optional.empty())));
      throw e;
    }
    table.locked(() -> told(setting, change -> change.succeeded(gpu.driverGeneration())));
    leases.clocks().remember(gpu, value);
  }

  private DeviceException.Failed notSaved(IOException e) {
    return new DeviceException.Failed(
        leases.saved().cannotSave(e) + "; the setting was left as it is", e);
  }

  /** Somebody may have used another tool since the lease was taken. */
  private void lookAgainBeforeFirstWrite(Gpu gpu, Setting setting) throws IOException {
    if (table.locked(() -> stateOf(setting).change.isPresent())) {
      return;
    }
    SettingValue value = leases.clocks().valueOf(setting, gpu);
    boolean isNew =
        table.locked(
            () -> {
              SettingState state = stateOf(setting);
              boolean differs = !state.found.equals(Optional.of(value));
              if (differs && leases.baseline().of(setting).isEmpty()) {
                state.found = Optional.of(value);
                table.changed(List.of(setting));
              }
              return differs;
            });
    if (isNew) {
      leases.saved().save();
    }
  }

  private SettingState stateOf(Setting setting) {
    requireActive();
    requireCovered(setting);
    return table.states.get(setting);
  }

  private WriteLog.Line ask(Setting setting, SettingValue value, int driverGeneration) {
    SettingState state = stateOf(setting);
    orphaned = false;
    SettingValue before = state.found.orElseThrow();
    Change change =
        state.change.orElseGet(
            () -> new Change(before, Written.NOTHING, driverGeneration, Optional.empty()));
    state.change = Optional.of(change.with(change.written().ask(value), Optional.of(this)));
    return leases.saved().nextLine(setting, this, Optional.of(value));
  }

  /** What came of it; meanwhile the lease may have ended. */
  private void told(Setting setting, UnaryOperator<Change> outcome) {
    table
        .known(setting)
        .filter(state -> state.change.flatMap(Change::by).equals(Optional.of(this)))
        .ifPresent(state -> state.change = state.change.map(outcome));
  }

  // ---- From beginning to end, under the table's lock ----

  /** Its holder has it now. */
  void start() {
    phase = Phase.ACTIVE;
    startTtl();
  }

  /** Goes on after the process that it was taken from has died. */
  void goOn() {
    start();
    orphaned = true;
    table.leases.put(id, this);
  }

  /** Lets go of the settings; what it has changed is not put back by that. */
  void release() {
    phase = Phase.ENDED;
    table.leases.remove(id);
    for (Setting setting : settings) {
      SettingState state = table.states.get(setting);
      state.holder = Optional.empty();
      state.found = Optional.empty();
    }
    table.changed(settings);
  }

  /** Ends it, for the caller to put back what is left to be. */
  void finish() {
    requireActive();
    if (onEnd() == LeaseRequest.OnEnd.KEEP) {
      settings.stream()
          .map(table.states::get)
          .filter(state -> state.change.flatMap(Change::by).equals(Optional.of(this)))
          .forEach(SettingState::settled);
    }
    release();
  }

  boolean isOver() {
    return phase == Phase.ENDED;
  }

  boolean isActive() {
    return phase == Phase.ACTIVE;
  }

  /** Whether its time is over; and if not, when it is, unless somebody keeps it. */
  boolean isExpired(long nowNanos) {
    return phase == Phase.ACTIVE && keepers == 0 && expiresNanos - nowNanos <= 0;
  }

  long restNanos(long nowNanos) {
    return phase == Phase.ACTIVE && keepers == 0 ? expiresNanos - nowNanos : Long.MAX_VALUE;
  }

  long expiresInMs() {
    return phase == Phase.ACTIVE && keepers == 0
        ? Math.max(0, (expiresNanos - leases.now()) / 1_000_000)
        : ttl().toMillis();
  }

  LeaseState state() {
    if (keepers > 0) {
      return LeaseState.KEPT;
    }
    return orphaned ? LeaseState.ORPHANED : LeaseState.ACTIVE;
  }

  @Override
  public String toString() {
    // The id is the right to use it, and this is for the log and for others.
    return "lease " + epoch + " of " + holder();
  }
}

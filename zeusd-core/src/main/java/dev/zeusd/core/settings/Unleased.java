package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import java.util.List;
import java.util.Optional;

/** Writes of those who have no lease: they go where no lease is. */
final class Unleased implements SettingAccess {
  private static final System.Logger LOG = System.getLogger(Leases.class.getName());

  private final SettingTable table;
  private final LockedClocks clocks;
  private final Runnable wake;

  Unleased(LeaseParts parts) {
    table = parts.table();
    clocks = parts.clocks();
    wake = parts.wake();
  }

  @Override
  public void check(List<Setting> wanted) {
    if (!table.isEmpty()) {
      table.locked(() -> wanted.forEach(this::requireFree));
    }
  }

  private void requireFree(Setting setting) {
    Optional<Lease> holder = table.known(setting).flatMap(state -> state.holder);
    if (holder.isPresent()) {
      throw holder.get().held(setting);
    }
  }

  @Override
  public void write(Gpu gpu, SettingValue value) {
    Optional<String> uuid = gpu.info().uuid();
    if (table.isEmpty() || uuid.isEmpty()) {
      value.writeTo(gpu);
    } else {
      writeBesideLeases(gpu, new Setting(uuid.get(), value.key()), value);
    }
    if (clocks.remember(gpu, value)) {
      wake.run();
    }
  }

  /**
   * A lease that begins between the check and the call finds the new value: it looks for it behind
   * this, in the GPU's queue.
   */
  private void writeBesideLeases(Gpu gpu, Setting setting, SettingValue value) {
    try {
      check(List.of(setting));
    } catch (LeaseException.Held e) {
      throw new DeviceException.HeldByLease(e.getMessage());
    }
    value.writeTo(gpu);
    table.locked(() -> table.known(setting).ifPresent(state -> giveUp(state, value)));
  }

  /** What somebody has set since is not to be replaced by what should have been put back. */
  private void giveUp(SettingState state, SettingValue value) {
    if (state.isPending()) {
      LOG.log(
          System.Logger.Level.INFO,
          "{0} of {1} is not put back any more: it was set to {2} since",
          state.setting.key().wireName(),
          state.setting.gpuUuid(),
          value.text());
      state.settled();
      table.changed(List.of(state.setting));
    }
  }
}

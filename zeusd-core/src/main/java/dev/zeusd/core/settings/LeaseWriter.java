package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * Changes settings by a lease: what to put back, and what is about to be written, is on its way to
 * the disk before the driver gets it. On the GPU's thread only.
 */
final class LeaseWriter {
  private final SettingTable table;
  private final SavedSettings saved;
  private final LockedClocks clocks;
  private final BaselineKeeper baseline;
  private final Runnable wake;

  LeaseWriter(LeaseParts parts) {
    table = parts.table();
    saved = parts.saved();
    clocks = parts.clocks();
    baseline = parts.baseline();
    wake = parts.wake();
  }

  /** As {@link SettingAccess#write}. */
  void write(Lease lease, Gpu gpu, SettingValue value) {
    Setting setting = new Setting(gpu.info().uuid().orElse(""), value.key());
    Optional<Change> earlier;
    try {
      lookAgainBeforeFirstWrite(lease, gpu, setting);
      earlier = table.locked(() -> lease.stateOf(setting).change);
      saved.append(table.locked(() -> ask(lease, setting, value, gpu.driverGeneration())));
      if (saved.isLogLong()) {
        wake.run();
      }
    } catch (LeaseException.Ended e) {
      throw new DeviceException.LeaseEnded(e.getMessage());
    } catch (LeaseException e) {
      throw new DeviceException.InvalidArgument(e.getMessage(), e);
    } catch (IOException e) {
      throw new DeviceException.Failed(saved.cannotSave(e) + "; the setting was left as it is", e);
    }
    try {
      value.writeTo(gpu);
    } catch (DeviceException e) {
      table.locked(() -> noteFailure(lease, setting, earlier, e));
      saved.tryAppend(table.locked(() -> saved.nextLine(setting, lease, Optional.empty())));
      throw e;
    }
    table.locked(
        () -> noteOutcome(lease, setting, change -> change.succeeded(gpu.driverGeneration())));
    clocks.remember(gpu, value);
  }

  /** Somebody may have used another tool since the lease was taken. */
  private void lookAgainBeforeFirstWrite(Lease lease, Gpu gpu, Setting setting) throws IOException {
    if (table.locked(() -> lease.stateOf(setting).change.isPresent())) {
      return;
    }
    SettingValue value = clocks.valueOf(setting, gpu);
    boolean isNew =
        table.locked(
            () -> {
              SettingState state = lease.stateOf(setting);
              boolean differs = !state.found.equals(Optional.of(value));
              if (differs && baseline.of(setting).isEmpty()) {
                state.found = Optional.of(value);
                table.changed(List.of(setting));
              }
              return differs;
            });
    if (isNew) {
      saved.save();
    }
  }

  private WriteLog.Line ask(
      Lease lease, Setting setting, SettingValue value, int driverGeneration) {
    SettingState state = lease.stateOf(setting);
    lease.term().heardOfHolder();
    SettingValue before = state.found.orElseThrow();
    Change change =
        state.change.orElseGet(
            () -> new Change(before, Written.NOTHING, driverGeneration, Optional.empty()));
    state.change = Optional.of(change.with(change.written().ask(value), Optional.of(lease)));
    return saved.nextLine(setting, lease, Optional.of(value));
  }

  private void noteFailure(
      Lease lease, Setting setting, Optional<Change> earlier, DeviceException failure) {
    if (isRefusal(failure)) {
      if (table.isChangedBy(lease, setting)) {
        table.states.get(setting).change = earlier;
      }
    } else {
      // Whoever has changed it before is still the one to put it back.
      Optional<Lease> by = earlier.isPresent() ? earlier.get().by() : Optional.of(lease);
      noteOutcome(lease, setting, change -> change.with(change.written().failed(), by));
    }
  }

  /** Whether nothing can have been set; of other failures, nobody knows. */
  private static boolean isRefusal(DeviceException failure) {
    return switch (failure) {
      case DeviceException.InvalidArgument _ -> true;
      case DeviceException.NotSupported _ -> true;
      case DeviceException.NoPermission _ -> true;
      case DeviceException.HeldByLease _ -> true;
      case DeviceException.LeaseEnded _ -> true;
      case DeviceException.Unavailable _ -> false;
      case DeviceException.Failed _ -> false;
    };
  }

  /** Does nothing if the lease has ended meanwhile. */
  private void noteOutcome(Lease lease, Setting setting, UnaryOperator<Change> outcome) {
    if (table.isChangedBy(lease, setting)) {
      SettingState state = table.states.get(setting);
      state.change = state.change.map(outcome);
    }
  }
}

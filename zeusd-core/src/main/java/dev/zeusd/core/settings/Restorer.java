package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.settings.Restored.Outcome;
import dev.zeusd.core.worker.DeviceWorker;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;

/**
 * Puts settings back: all GPUs side by side, the settings of one in their order and each by itself,
 * behind whatever waits for that GPU. Thread-safe.
 */
final class Restorer {
  private static final System.Logger LOG = System.getLogger(Leases.class.getName());

  private final LeaseParts parts;
  private final SettingTable table;
  private final LockedClocks clocks;

  Restorer(LeaseParts parts) {
    this.parts = parts;
    table = parts.table();
    clocks = parts.clocks();
  }

  /**
   * Those that have to be put back and that nobody holds: from here on nobody else can have them,
   * until {@link #start} has tried. Under the table's lock.
   */
  Map<Setting, CompletableFuture<Restored>> claim(Collection<Setting> settings) {
    Map<Setting, CompletableFuture<Restored>> results = new TreeMap<>();
    for (Setting setting : settings) {
      Optional<SettingState> state = table.known(setting);
      if (state.isPresent() && state.get().isPending() && !state.get().restoring) {
        state.get().restoring = true;
        results.put(setting, new CompletableFuture<>());
      }
    }
    return results;
  }

  /** Starts on what was claimed. */
  void start(Map<Setting, CompletableFuture<Restored>> claimed) {
    claimed.keySet().stream()
        .collect(Collectors.groupingBy(Setting::gpuUuid))
        .forEach((uuid, ofGpu) -> start(uuid, ofGpu, claimed));
  }

  private void start(
      String uuid, List<Setting> settings, Map<Setting, CompletableFuture<Restored>> results) {
    try {
      Optional<DeviceWorker<Gpu>> worker = new GpusByUuid(parts.gpus()).find(uuid);
      if (worker.isEmpty()) {
        fail(settings, results, "the GPU " + uuid + " is not there");
        return;
      }
      settings.forEach(setting -> tried(setting, worker.get().device()));
      worker
          .get()
          .submit(
              gpu -> {
                settings.forEach(setting -> results.get(setting).complete(restore(setting, gpu)));
                return true;
              })
          .whenComplete(
              (ended, failure) -> {
                if (failure != null) {
                  fail(settings, results, failure.getMessage());
                }
              });
    } catch (RuntimeException e) {
      // Whatever it is: what is claimed is not to stay so.
      fail(settings, results, String.valueOf(e.getMessage()));
    }
  }

  private void tried(Setting setting, Gpu gpu) {
    table.locked(() -> table.states.get(setting).triedGeneration = gpu.driverGeneration());
  }

  private void fail(
      List<Setting> settings, Map<Setting, CompletableFuture<Restored>> results, String why) {
    for (Setting setting : settings) {
      if (!results.get(setting).isDone()) {
        results.get(setting).complete(finish(setting, Optional.empty(), Restored.pending(why)));
      }
    }
  }

  private Restored restore(Setting setting, Gpu gpu) {
    Optional<Change> change =
        table.locked(
            () -> {
              SettingState state = table.states.get(setting);
              return state.isPending() ? state.change : Optional.empty();
            });
    if (change.isEmpty()) {
      return finish(setting, change, withoutIt(setting));
    }
    Restored result;
    try {
      boolean isBack = change.get().undo(gpu);
      if (isBack) {
        clocks.remember(gpu, change.get().before());
      }
      result = Restored.as(isBack ? Outcome.RESTORED : Outcome.OVERRIDDEN);
    } catch (DeviceException.NotSupported e) {
      // What a lease has set was there once; what a baseline asks for need never have been.
      result =
          change.get().isDemand()
              ? Restored.impossible(e.getMessage())
              : Restored.pending(e.getMessage());
    } catch (DeviceException e) {
      result = Restored.pending(String.valueOf(e.getMessage()));
    }
    // What this call itself has led to is no reason to try again at once.
    tried(setting, gpu);
    return finish(setting, change, result);
  }

  private Restored withoutIt(Setting setting) {
    return table.locked(() -> table.states.get(setting).holder.isPresent())
        ? Restored.pending("another lease has it by now, and puts it back when it ends")
        : Restored.as(Outcome.OVERRIDDEN);
  }

  private Restored finish(Setting setting, Optional<Change> tried, Restored result) {
    Optional<Change> news =
        table.locked(
            () -> {
              SettingState state = table.states.get(setting);
              boolean isNew = !state.failure.equals(Optional.of(result.problem()));
              Optional<Change> change = state.change.filter(each -> isNew);
              state.restoring = false;
              if (result.outcome() == Outcome.PENDING) {
                log(state, change, result);
                state.failed(result.problem(), parts.now());
              } else if (tried.isPresent() && state.change.equals(tried)) {
                log(state, change, result);
                state.settled();
              } else {
                change = Optional.empty();
              }
              table.changed(List.of(setting));
              return change;
            });
    news.ifPresent(
        change -> parts.observer().restored(setting, change.before(), change.by(), result));
    parts.wake().run();
    return result;
  }

  private static void log(SettingState state, Optional<Change> news, Restored result) {
    if (news.isPresent()) {
      LOG.log(
          result.outcome() == Outcome.RESTORED
              ? System.Logger.Level.INFO
              : System.Logger.Level.WARNING,
          "{0} of GPU {1}, changed by {2}: {3}{4}",
          state.setting.key().wireName(),
          state.setting.gpuUuid(),
          news.flatMap(Change::by)
              .map(Lease::toString)
              .orElse("nobody, but asked for by the baseline"),
          result.outcome().wireName(),
          result.problem().isEmpty() ? "" : ", " + result.problem());
    }
  }
}

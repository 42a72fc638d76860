package dev.zeusd.core.command;

import dev.zeusd.core.Backend;
import dev.zeusd.core.device.Gpu;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * Which operations commands do in the driver's place; readings stay the driver's.
 *
 * @param byOperation what is run for each
 */
public record GpuCommands(Map<GpuOperation, GpuCommand> byOperation) {
  /**
   * Keeps a copy.
   *
   * @throws IllegalArgumentException if what stands in braces in a command is none of its
   *     operation's values
   */
  public GpuCommands {
    byOperation.forEach(
        (operation, command) ->
            command
                .commands()
                .forEach(words -> words.forEach(word -> GpuCommand.check(word, operation))));
    Map<GpuOperation, GpuCommand> copy = new EnumMap<>(GpuOperation.class);
    copy.putAll(byOperation);
    byOperation = Collections.unmodifiableMap(copy);
  }

  /**
   * The driver does all.
   *
   * @return no commands
   */
  public static GpuCommands none() {
    return new GpuCommands(Map.of());
  }

  /** {@return whether the driver does all} */
  public boolean isEmpty() {
    return byOperation.isEmpty();
  }

  /** {@return whether this system has what is needed to run commands so that they can be ended} */
  public static boolean canRun() {
    return CommandRunner.setsid().isPresent();
  }

  Optional<GpuCommand> find(GpuOperation operation) {
    return Optional.ofNullable(byOperation.get(operation));
  }

  /**
   * {@return the same GPUs, with the operations that have commands done by these}
   *
   * @param backend the GPUs as their driver has them
   */
  public Backend<Gpu> over(Backend<Gpu> backend) {
    return isEmpty() ? backend : new Overridden(backend);
  }

  private final class Overridden implements Backend<Gpu> {
    private final Backend<Gpu> backend;
    private List<CommandedGpu> known = List.of();

    Overridden(Backend<Gpu> backend) {
      this.backend = backend;
    }

    /** Each GPU of the other backend has one here, and always the same. */
    @Override
    public synchronized List<Gpu> devices() {
      List<CommandedGpu> all = new ArrayList<>();
      for (Gpu gpu : backend.devices()) {
        all.add(
            known.stream()
                .filter(each -> each.isOver(gpu))
                .findAny()
                .orElseGet(() -> new CommandedGpu(gpu, GpuCommands.this)));
      }
      known = all;
      return List.copyOf(all);
    }

    @Override
    public boolean mayHaveMore() {
      return backend.mayHaveMore();
    }

    @Override
    public void lookForMore() {
      backend.lookForMore();
    }

    @Override
    public boolean isOpening() {
      return backend.isOpening();
    }

    @Override
    public List<String> problems() {
      return backend.problems();
    }

    @Override
    public boolean release() {
      return backend.release();
    }

    @Override
    public void keepOpenWhile(BooleanSupplier isNeeded) {
      backend.keepOpenWhile(isNeeded);
    }

    @Override
    public void close() {
      backend.close();
    }
  }
}

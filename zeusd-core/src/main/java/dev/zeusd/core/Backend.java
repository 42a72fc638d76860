package dev.zeusd.core;

import java.util.List;
import java.util.function.BooleanSupplier;

/**
 * Where devices of one kind come from: a driver's library, the kernel, a simulation, or whatever an
 * embedder brings to {@link Node#of}. Several can be open side by side, as long as no two of their
 * devices have the same id.
 *
 * <p>{@link #devices}, {@link #mayHaveMore} and {@link #problems} may be called by any thread at
 * any time and must not take long; {@link #lookForMore} by one thread at a time, and may.
 *
 * @param <D> {@link dev.zeusd.core.device.Gpu} or {@link dev.zeusd.core.device.Cpu}
 */
public interface Backend<D> extends AutoCloseable {
  /**
   * Devices that never become more, and have nothing to close.
   *
   * @param <D> the kind of device
   * @param devices all of them
   * @return a backend with these devices
   */
  static <D> Backend<D> of(List<? extends D> devices) {
    List<D> all = List.copyOf(devices);
    return () -> all;
  }

  /** {@return those that were found so far; none of them ever leaves, whatever becomes of it} */
  List<D> devices();

  /** {@return whether {@link #lookForMore} makes sense now} */
  default boolean mayHaveMore() {
    return false;
  }

  /**
   * Looks for devices that have come.
   *
   * @throws NodeException with a message for people if that fails; it may be tried again
   */
  default void lookForMore() {}

  /**
   * {@return whether it is still busy finding out what there is; then it is looked for more at
   * once}
   */
  default boolean isOpening() {
    return false;
  }

  /** {@return for people: what is wrong with it as a whole, and why there are no devices if so} */
  default List<String> problems() {
    return List.of();
  }

  /**
   * Lets go of the driver until the next call of a device.
   *
   * @return false if a call that hangs forbids it
   */
  default boolean release() {
    return true;
  }

  /**
   * Says when it must not let go of the driver by itself.
   *
   * @param isNeeded answers at once, whether settings are to be kept that the driver might forget
   */
  default void keepOpenWhile(BooleanSupplier isNeeded) {}

  /** Called once, when no device is called any more, but for calls that hang. */
  @Override
  default void close() {}
}

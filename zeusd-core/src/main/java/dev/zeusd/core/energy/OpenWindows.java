package dev.zeusd.core.energy;

import dev.zeusd.core.sampling.TimestampClock;
import java.security.SecureRandom;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;

/**
 * The windows that are open, the devices that they measure, and, for a while, what those have told
 * that have ended: an answer may be lost, and is asked for again.
 *
 * <p>Thread-safe.
 */
final class OpenWindows {
  private static final System.Logger LOG = System.getLogger(EnergyMeter.class.getName());
  private static final int ID_BYTES = 16;

  /** For so long, what an ended window has told can be had again. */
  private static final long ENDED_NANOS = TimeUnit.MINUTES.toNanos(10);

  /** So many of these are kept; each takes a few hundred bytes for each device. */
  private static final int MAX_ENDED = 256;

  private final LongSupplier clock;
  private final TimestampClock timestamps;

  // Guarded by this.
  private final Map<String, EnergyWindow> windows = new LinkedHashMap<>();
  private final Map<String, MeteredDevice> devices = new HashMap<>();
  private final Map<String, Ended> ended = new LinkedHashMap<>();

  private record Ended(EnergyWindow window, WindowEnergy energy, long nanos) {}

  /**
   * None so far.
   *
   * @param clock how long they last
   * @param timestamps when they begin, for people
   */
  OpenWindows(LongSupplier clock, TimestampClock timestamps) {
    this.clock = clock;
    this.timestamps = timestamps;
  }

  /** Puts a window together of its facts and spans. */
  interface Maker {
    EnergyWindow make(EnergyWindow.Facts facts, List<Span> spans);
  }

  /**
   * Adds a window.
   *
   * @param wanted its devices; one of these that is measured already is taken in its place
   * @throws WindowException.TooMany if its owner has had its share
   */
  synchronized EnergyWindow add(WindowRequest request, List<MeteredDevice> wanted, Maker maker) {
    requireRoom(request.owner());
    List<Span> spans =
        wanted.stream()
            .map(device -> devices.computeIfAbsent(device.key(), unknown -> device))
            .flatMap(device -> device.newSpans().stream())
            .toList();
    long now = clock.getAsLong();
    EnergyWindow.Facts facts =
        new EnergyWindow.Facts(
            newId(),
            request.name(),
            request.owner(),
            timestamps.nowMs(),
            now,
            now + request.ttl().toNanos());
    EnergyWindow window = maker.make(facts, spans);
    windows.put(window.id(), window);
    return window;
  }

  /** One owner may have as many as are left free for others. */
  private void requireRoom(String owner) {
    long own = windows.values().stream().filter(window -> window.owner().equals(owner)).count();
    if (own >= EnergyMeter.MAX_WINDOWS - windows.size()) {
      throw new WindowException.TooMany(
          "%s has %d energy windows open, which is its share of the %d that may be; end some of them first"
              .formatted(owner, own, EnergyMeter.MAX_WINDOWS));
    }
  }

  /** Here, since few processes ever have a window. */
  private static final class Ids {
    static final SecureRandom RANDOM = new SecureRandom();
  }

  private static String newId() {
    byte[] bytes = new byte[ID_BYTES];
    Ids.RANDOM.nextBytes(bytes);
    return HexFormat.of().formatHex(bytes);
  }

  /**
   * Takes over what an earlier process has left.
   *
   * @return false, and nothing is done, if there are windows already
   */
  synchronized boolean takeOver(
      Collection<MeteredDevice> leftDevices, Collection<EnergyWindow> leftWindows) {
    if (!windows.isEmpty()) {
      return false;
    }
    leftDevices.forEach(device -> devices.put(device.key(), device));
    leftWindows.forEach(window -> windows.put(window.id(), window));
    forgetUnused();
    return true;
  }

  private void forgetUnused() {
    Set<MeteredDevice> used =
        windows.values().stream()
            .flatMap(window -> window.devices().stream())
            .collect(Collectors.toSet());
    devices.values().retainAll(used);
  }

  /** Those that have not expired, the oldest first. */
  synchronized List<EnergyWindow> list() {
    long now = clock.getAsLong();
    return windows.values().stream().filter(window -> !window.isExpired(now)).toList();
  }

  /** The devices that they measure. */
  synchronized List<MeteredDevice> devices() {
    return List.copyOf(devices.values());
  }

  /** Whether one measures GPUs. */
  synchronized boolean measuresGpus() {
    return devices.values().stream().anyMatch(MeteredGpu.class::isInstance);
  }

  /** The one with this id, if it is open. */
  synchronized Optional<EnergyWindow> find(String id) {
    long now = clock.getAsLong();
    return Optional.ofNullable(windows.get(id)).filter(window -> !window.isExpired(now));
  }

  /** The one with this id, if it has ended a short time ago. */
  synchronized Optional<EnergyWindow> findEnded(String id) {
    return recent(id).map(Ended::window);
  }

  /** What a window told when it ended, if that was a short time ago. */
  synchronized Optional<WindowEnergy> told(EnergyWindow window) {
    return recent(window.id()).map(Ended::energy);
  }

  private Optional<Ended> recent(String id) {
    long now = clock.getAsLong();
    ended.values().removeIf(each -> now - each.nanos > ENDED_NANOS);
    return Optional.ofNullable(ended.get(id));
  }

  /**
   * Ends a window.
   *
   * @param told what will be told of it, if somebody wants to know
   * @return whether it was open
   */
  synchronized boolean end(EnergyWindow window, Optional<WindowEnergy> told) {
    if (!windows.remove(window.id(), window)) {
      return false;
    }
    told.ifPresent(
        energy -> {
          ended.put(window.id(), new Ended(window, energy, clock.getAsLong()));
          if (ended.size() > MAX_ENDED) {
            ended.remove(ended.keySet().iterator().next());
          }
        });
    forgetUnused();
    return true;
  }

  /** Forgets those whose time is over; whether there were any. */
  synchronized boolean expire() {
    long now = clock.getAsLong();
    boolean isChanged = false;
    for (EnergyWindow window : List.copyOf(windows.values())) {
      if (window.isExpired(now)) {
        LOG.log(System.Logger.Level.INFO, "{0} was never ended, and is forgotten", window);
        windows.remove(window.id());
        isChanged = true;
      }
    }
    forgetUnused();
    return isChanged;
  }

  /** For a file: all, whether they have expired or not. */
  void describe(List<String> lines) {
    List<EnergyWindow> all;
    synchronized (this) {
      all = List.copyOf(windows.values());
    }
    all.forEach(window -> window.describe(lines));
  }

  /** For another file: what was measured so far. */
  void describeDevices(List<String> lines) {
    devices().forEach(device -> device.describe(lines));
  }
}

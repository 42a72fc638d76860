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
import java.util.function.LongSupplier;
import java.util.stream.Collectors;

/**
 * The windows that are open, the devices that they measure, and what those have told that have
 * ended a short time ago.
 *
 * <p>There may be {@link EnergyMeter#MAX_WINDOWS}. An owner may have as many as are left free for
 * others, and is sure of an equal share: if need be, whoever has the most loses its oldest.
 *
 * <p>Thread-safe.
 */
final class OpenWindows {
  private static final System.Logger LOG = System.getLogger(EnergyMeter.class.getName());
  private static final int ID_BYTES = 16;

  private final LongSupplier clock;
  private final TimestampClock timestamps;
  private final EndedWindows ended;

  // Guarded by this.
  private final Map<String, EnergyWindow> windows = new LinkedHashMap<>();
  private final Map<String, MeteredDevice> devices = new HashMap<>();

  /**
   * None so far.
   *
   * @param clock how long they last
   * @param timestamps when they begin, for people
   */
  OpenWindows(LongSupplier clock, TimestampClock timestamps) {
    this.clock = clock;
    this.timestamps = timestamps;
    this.ended = new EndedWindows(clock);
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
    makeRoom(request.owner());
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

  private void makeRoom(String owner) {
    int free = EnergyMeter.MAX_WINDOWS - windows.size();
    Owners owners = Owners.of(windows.values());
    int own = owners.of(owner);
    if (own < free) {
      return;
    }
    if (own >= owners.share(EnergyMeter.MAX_WINDOWS, owner)) {
      throw new WindowException.TooMany(
          "%s has %d energy windows open, which is its share of the %d that may be (%s); end some of them first"
              .formatted(owner, own, EnergyMeter.MAX_WINDOWS, owners));
    }
    if (free == 0) {
      // Somebody has more than that share, since all shares together are less than there is.
      giveWay(owners);
    }
  }

  private void giveWay(Owners owners) {
    EnergyWindow oldest = owners.firstOfMost(windows.values());
    LOG.log(
        System.Logger.Level.WARNING,
        "{0} is forgotten, to make room: of {1} windows that may be, {2}",
        oldest,
        EnergyMeter.MAX_WINDOWS,
        owners);
    windows.remove(oldest.id());
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
   * @return false, and only what ended windows have told is taken, if there are windows already
   */
  synchronized boolean takeOver(
      Collection<MeteredDevice> leftDevices,
      Collection<EnergyWindow> leftWindows,
      Collection<EndedWindows.Ended> leftEnded) {
    leftEnded.forEach(ended::add);
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
  Optional<EnergyWindow> findEnded(String id) {
    return ended.find(id).map(EndedWindows.Ended::window);
  }

  /** What a window told when it ended, if that was a short time ago. */
  Optional<WindowEnergy> told(EnergyWindow window) {
    return ended.find(window.id()).map(EndedWindows.Ended::energy);
  }

  /** Whether there is nothing to be kept, of open windows and of ended ones. */
  synchronized boolean isEmpty() {
    return windows.isEmpty() && ended.isEmpty();
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
    told.ifPresent(energy -> ended.add(window, energy));
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

  /** For a file: all, whether they have expired or not, and what others have told at their end. */
  void describe(List<String> lines) {
    List<EnergyWindow> all;
    synchronized (this) {
      all = List.copyOf(windows.values());
    }
    all.forEach(window -> window.describe(lines));
    ended.describe(lines);
  }

  /** For another file: what was measured so far. */
  void describeDevices(List<String> lines) {
    devices().forEach(device -> device.describe(lines));
  }
}

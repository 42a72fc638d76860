package dev.zeusd.core.rapl;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/**
 * A directory with the shape of {@code /sys/class/powercap/intel-rapl}, for tests. Closing it ends
 * what feeds it.
 */
public final class RaplTree implements AutoCloseable {
  /** What the kernel says of a typical package, in uJ. */
  public static final long TYPICAL_RANGE_UJ = 262_143_328_850L;

  private final Path dir;
  private final List<Feeder> feeders = new ArrayList<>();

  /** A tree in {@code dir}, which is made if need be. */
  public RaplTree(Path dir) {
    this.dir = dir;
    makeDir(dir);
  }

  public Path dir() {
    return dir;
  }

  /** Adds the zone {@code intel-rapl:id}, its counter at 0. */
  public Zone zone(int id, String name) {
    return new Zone(dir.resolve("intel-rapl:" + id), name);
  }

  @Override
  public void close() {
    feeders.forEach(Feeder::close);
  }

  /** One zone; its counter is written in place, in one piece, as a reader of sysfs sees it. */
  public final class Zone {
    private final Path dir;
    private final String name;

    private Zone(Path dir, String name) {
      this.dir = dir;
      this.name = name;
      make(0);
    }

    private void make(long energyUj) {
      makeDir(dir);
      write("name", name + "\n");
      range(TYPICAL_RANGE_UJ);
      energy(energyUj);
    }

    public Path dir() {
      return dir;
    }

    public Path energyFile() {
      return dir.resolve("energy_uj");
    }

    /** Adds the sub-zone {@code intel-rapl:N:index} within this zone. */
    public Zone subZone(int index, String name) {
      return new Zone(dir.resolve(dir.getFileName() + ":" + index), name);
    }

    public Zone range(long rangeUj) {
      write("max_energy_range_uj", rangeUj + "\n");
      return this;
    }

    /** Sets the counter. Of fixed width: one write, no truncation, the same file. */
    public Zone energy(long energyUj) {
      write("energy_uj", String.format("%019d\n", energyUj));
      return this;
    }

    /** Puts any text in the counter's place. */
    public void energyText(String text) {
      try {
        Files.writeString(energyFile(), text);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    public void removeEnergy() {
      try {
        Files.delete(energyFile());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    /** Takes the zone away, but for what {@link #restore} makes again. */
    public void remove() {
      for (String file : List.of("name", "max_energy_range_uj", "energy_uj", "")) {
        try {
          Files.deleteIfExists(dir.resolve(file));
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      }
    }

    /** Makes the zone whole again, whatever was done to it. */
    public void restore(long energyUj) {
      remove();
      make(energyUj);
    }

    /** Feeds the counter with constant power, from {@code startUj} on, until closed. */
    public Feeder feed(double watts, long startUj, long rangeUj) {
      return feed(watts, startUj, rangeUj, Long.MAX_VALUE);
    }

    /** The same in a time that stands still where the feeder's thread does not run. */
    public Feeder feedWhileAwake(double watts, long startUj, long rangeUj) {
      return feed(watts, startUj, rangeUj, Feeder.AWAKE_NANOS);
    }

    private Feeder feed(double watts, long startUj, long rangeUj, long mostNanos) {
      Feeder feeder = new Feeder(this, watts, startUj, rangeUj, mostNanos);
      feeders.add(feeder);
      return feeder;
    }

    private void write(String file, String text) {
      ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII));
      try (FileChannel channel =
          FileChannel.open(
              dir.resolve(file), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
        channel.write(bytes, 0);
        channel.truncate(bytes.limit());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** Writes a counter several times per ms, from the real clock. */
  public static final class Feeder implements AutoCloseable {
    private static final long PAUSE_NANOS = 200_000;
    private static final long AWAKE_NANOS = 50_000_000;

    private final double watts;
    private final long startUj;
    private final long mostNanos;
    private final Thread thread;
    private long fedNanos = System.nanoTime();
    private long usedNanos;
    private volatile boolean closed;

    private Feeder(Zone zone, double watts, long startUj, long rangeUj, long mostNanos) {
      this.watts = watts;
      this.startUj = startUj;
      this.mostNanos = mostNanos;
      zone.range(rangeUj).energy(startUj % rangeUj);
      this.thread =
          Thread.ofPlatform()
              .daemon()
              .name("feeder")
              .start(
                  () -> {
                    while (!closed) {
                      zone.energy(totalUj() % rangeUj);
                      LockSupport.parkNanos(PAUSE_NANOS);
                    }
                  });
    }

    /** Energy fed up to now, in uJ, the start value included and wraps undone. */
    public synchronized long totalUj() {
      long now = System.nanoTime();
      usedNanos += Math.min(mostNanos, now - fedNanos);
      fedNanos = now;
      return startUj + Math.round(watts * usedNanos / 1e3);
    }

    @Override
    public void close() {
      closed = true;
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static void makeDir(Path dir) {
    try {
      Files.createDirectories(dir);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

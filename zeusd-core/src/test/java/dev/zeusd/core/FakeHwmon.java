package dev.zeusd.core;

import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.core.hwmon.HwmonGpus;
import dev.zeusd.core.kernel.BootClock;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;

/**
 * Two GPUs of Intel's as the kernel shows them: folders and links as below {@code /sys}, and
 * counters of energy that grow as the GPUs draw power, in real time.
 */
final class FakeHwmon implements Backend<Gpu> {
  static final String THREAD_NAME = "fake hwmon";

  /**
   * Puts a file in the place of another one, so that whoever opens it waits until this ends: it
   * holds a write lease of the file, as fcntl(2) has it. Nothing else makes a file hang that is as
   * regular as those of sysfs.
   */
  private static final String HANG =
      """
      import fcntl, os, signal, sys, time
      signal.signal(signal.SIGIO, signal.SIG_IGN)
      file, new = sys.argv[1], sys.argv[1] + ".new"
      with open(file) as old, open(new, "w") as copy:
          copy.write(old.read())
      held = os.open(new, os.O_RDWR)
      fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
      os.rename(new, file)
      print("held", flush=True)
      time.sleep(600)
      """;

  private final Path root;
  private final List<Card> cards;
  private final AtomicLong reads = new AtomicLong();
  private final HwmonGpus gpus;
  private final Thread feeder;
  private volatile boolean closed;

  /** The number of the last chip; the kernel gives none twice in a row. */
  private int lastChip = -1;

  FakeHwmon() throws IOException {
    root = Files.createTempDirectory("fake-hwmon");
    cards = List.of(new Card("0000:03:00.0", "i915"), new Card("0000:7a:00.0", "xe"));
    for (Card card : cards) {
      card.appear();
    }
    BootClock clock =
        BootClock.of(
            () -> {
              reads.incrementAndGet();
              return System.nanoTime();
            });
    gpus = HwmonGpus.find(List.of(root.resolve("class/hwmon")), new GpuIds(), clock);
    feeder = Thread.ofPlatform().daemon().name(THREAD_NAME).start(this::feed);
  }

  private final class Card {
    private final Path device;
    private final String driver;
    private Optional<Path> chip = Optional.empty();
    private Optional<FileChannel> counter = Optional.empty();
    private Optional<Process> holder = Optional.empty();
    private double powerMw = 75_000;
    private double energyUj;
    private long fedNanos = System.nanoTime();
    private boolean failing;

    Card(String pciAddress, String driver) {
      this.device = root.resolve("devices/pci0000:00").resolve(pciAddress);
      this.driver = driver;
    }

    synchronized void appear() throws IOException {
      if (chip.isPresent()) {
        return;
      }
      int number = ++lastChip;
      Path folder = Files.createDirectories(device.resolve("hwmon/hwmon" + number));
      Files.writeString(folder.resolve("name"), driver + "\n");
      Files.createSymbolicLink(folder.resolve("device"), Path.of("../.."));
      energyUj = 0;
      chip = Optional.of(folder);
      openCounter();
      Path links = Files.createDirectories(root.resolve("class/hwmon"));
      Files.createSymbolicLink(links.resolve(folder.getFileName()), folder);
    }

    synchronized void disappear() throws IOException {
      if (chip.isPresent()) {
        // sysfs fails whoever still has the file open; that of another file system goes on to be
        // read.
        boolean was = failing;
        fail(true);
        failing = was;
        closeCounter();
        Files.delete(root.resolve("class/hwmon").resolve(chip.get().getFileName()));
        delete(chip.get());
        chip = Optional.empty();
      }
    }

    private Path file() {
      return chip.orElseThrow().resolve("energy1_input");
    }

    private void openCounter() throws IOException {
      counter =
          Optional.of(
              FileChannel.open(file(), StandardOpenOption.CREATE, StandardOpenOption.WRITE));
      write();
    }

    private void closeCounter() throws IOException {
      if (counter.isPresent()) {
        counter.get().close();
      }
      counter = Optional.empty();
    }

    synchronized void powerMw(long mw) {
      grow();
      powerMw = mw;
    }

    synchronized void fail(boolean fails) throws IOException {
      failing = fails;
      write();
    }

    synchronized void hang(boolean hangs) throws IOException, InterruptedException {
      if (hangs) {
        closeCounter();
        Process python =
            new ProcessBuilder("python3", "-c", HANG, file().toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        holder = Optional.of(python);
        BufferedReader said = python.inputReader();
        if (!"held".equals(said.readLine())) {
          throw new IOException("python3 cannot hold " + file());
        }
      } else if (holder.isPresent()) {
        holder.get().destroyForcibly().waitFor();
        holder = Optional.empty();
        openCounter();
      }
    }

    synchronized void feed() throws IOException {
      grow();
      write();
    }

    private void grow() {
      long now = System.nanoTime();
      energyUj += powerMw * (now - fedNanos) / 1e6;
      fedNanos = now;
    }

    /** Always as long, and by one call: whoever reads meanwhile sees the old or the new number. */
    private void write() throws IOException {
      if (counter.isPresent()) {
        String text = failing ? "broken".repeat(3) + "\n" : "%018d\n".formatted((long) energyUj);
        counter.get().write(ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII)), 0);
      }
    }
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(each);
      }
    }
  }

  private void feed() {
    try {
      while (!closed) {
        for (Card card : cards) {
          card.feed();
        }
        Thread.sleep(1);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  void powerMw(int gpu, long powerMw) {
    cards.get(gpu).powerMw(powerMw);
  }

  void fail(int gpu, boolean failing) throws IOException {
    cards.get(gpu).fail(failing);
  }

  /** As at a reload of its driver, after which its files are in another folder. */
  void lose(int gpu, boolean lost) throws IOException {
    if (lost) {
      cards.get(gpu).disappear();
    } else {
      cards.get(gpu).appear();
    }
  }

  void hang(int gpu, boolean hanging) throws IOException, InterruptedException {
    cards.get(gpu).hang(hanging);
  }

  /** How often energy was read. */
  long reads() {
    return reads.get();
  }

  @Override
  public List<Gpu> devices() {
    return gpus.devices();
  }

  @Override
  public void close() {
    gpus.close();
    closed = true;
    try {
      feeder.join();
      for (Card card : cards) {
        card.hang(false);
        card.disappear();
      }
      delete(root);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
